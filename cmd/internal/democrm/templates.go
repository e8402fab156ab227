// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

// maxTemplates is how many permission templates an account may hold.
const maxTemplates = 50

// permissionTemplate is a permission template. The demo CRM keeps it and answers it; it
// does not enforce it.
type permissionTemplate struct {
	Id                string
	Name              string
	Description       string
	EntityPermissions []entityPermission
	assigned          []string
}

type entityPermission struct {
	Entity      string
	Permissions []permission
}

type permission struct {
	Action     string
	Access     string
	Properties permissionProperties
}

type permissionProperties struct {
	RestrictedFields []string
	Restrictions     []string
}

func (c *CRM) templateAt(id string) (int, error) {
	i := slices.IndexFunc(c.templates, func(t permissionTemplate) bool { return strings.EqualFold(t.Id, id) })
	if i < 0 || id == "" {
		return 0, fail("InvalidInput", "Permission template not found")
	}
	return i, nil
}

func createTemplate(c *CRM, q *call) (any, error) {
	var t permissionTemplate
	if err := decode(q.body, &t); err != nil {
		return nil, err
	}
	if err := c.checkTemplate(q, t); err != nil {
		return nil, err
	}
	if len(c.templates) >= maxTemplates {
		return nil, fail("InvalidInput", "an account can hold at most %d permission templates", maxTemplates)
	}
	t.Id = c.newID()
	c.templates = append(c.templates, t)
	return okayID(t.Id), nil
}

func (c *CRM) checkTemplate(q *call, t permissionTemplate) error {
	if err := q.mustAdmin(); err != nil {
		return err
	}
	if strings.TrimSpace(t.Name) == "" {
		return fail("MandatoryAttributeMissing", "'Name' is mandatory")
	}
	for _, e := range t.EntityPermissions {
		for _, p := range e.Permissions {
			if !slices.Contains([]string{"FullAccess", "PartialAccess", "NoAccess"}, p.Access) {
				return fail("InvalidInput", "'Access' must be FullAccess, PartialAccess or NoAccess")
			}
		}
	}
	return nil
}

func updateTemplate(c *CRM, q *call) (any, error) {
	var t permissionTemplate
	if err := decode(q.body, &t); err != nil {
		return nil, err
	}
	if err := c.checkTemplate(q, t); err != nil {
		return nil, err
	}
	i, err := c.templateAt(q.query("Id"))
	if err != nil {
		return nil, err
	}
	t.Id, t.assigned = c.templates[i].Id, c.templates[i].assigned
	c.templates[i] = t
	return okayRows(1), nil
}

func retrieveTemplates(c *CRM, q *call) (any, error) {
	var body struct {
		Parameter struct{ SearchText, TemplateId string }
		Sorting   sorting
		Paging    paging
	}
	if len(q.body) > 0 {
		if err := decode(q.body, &body); err != nil {
			return nil, err
		}
	}
	list := []permissionTemplate{}
	for _, t := range c.templates {
		byID := body.Parameter.TemplateId == "" || strings.EqualFold(t.Id, body.Parameter.TemplateId)
		if byID && strings.Contains(strings.ToLower(t.Name), strings.ToLower(body.Parameter.SearchText)) {
			list = append(list, t)
		}
	}
	return struct {
		RecordCount int
		List        []permissionTemplate
	}{len(list), list}, nil
}

// applyTemplate gives a template to people; overWriteAll with an id alone
// takes it from everybody.
func applyTemplate(c *CRM, q *call) (any, error) {
	return c.assign(q, strings.EqualFold(q.query("overWriteAll"), "true"))
}

func overrideTemplate(c *CRM, q *call) (any, error) { return c.assign(q, true) }

func (c *CRM) assign(q *call, overwrite bool) (any, error) {
	var body struct {
		Id      string
		UserIds []string
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if err := q.mustAdmin(); err != nil {
		return nil, err
	}
	i, err := c.templateAt(body.Id)
	if err != nil {
		return nil, err
	}
	affected := []string{}
	for _, id := range body.UserIds {
		u, ok := c.userByID(id)
		if !ok {
			return nil, fail("InvalidInput", "User not found")
		}
		affected = append(affected, u.id)
	}
	if overwrite {
		if len(affected) == 0 {
			affected = slices.Clone(c.templates[i].assigned)
			c.templates[i].assigned = nil
			return okayUsers(affected), nil
		}
		c.templates[i].assigned = nil
	}
	c.templates[i].assigned = append(c.templates[i].assigned, affected...)
	return okayUsers(affected), nil
}
