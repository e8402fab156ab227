// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

func (c *CRM) groupByID(id string) (*group, bool) {
	i := slices.IndexFunc(c.groups, func(g *group) bool { return strings.EqualFold(g.id, strings.TrimSpace(id)) })
	if i < 0 {
		return nil, false
	}
	return c.groups[i], true
}

// listGroups is the RM family; numbers are strings here.
func listGroups(c *CRM, q *call) (any, error) {
	type item struct{ GroupId, Name, Description, CreatedOn, UserCount string }
	list := []item{}
	for _, g := range c.groups {
		list = append(list, item{g.id, g.name, g.description, g.createdOn, itoa(len(g.members))})
	}
	return struct {
		RecordCount int
		UserGroups  []item
	}{len(list), list}, nil
}

// addUsersToGroup puts people into a group or changes their rights in it.
func addUsersToGroup(c *CRM, q *call) (any, error) {
	if err := q.mustAdmin(); err != nil {
		return nil, err
	}
	var body struct {
		GroupId     string
		CallbackURL string // accepted and not called
		Users       []struct {
			UserId                                     string
			ViewAllLeadsOfGroup, ModifyAllLeadsOfGroup bool
			ViewAllAccountsOfGroup, AddUsersToGroup    bool
			ModifyAllAccountsOfGroup                   bool
			CreateGroupAutomation                      bool
		}
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	g, ok := c.groupByID(body.GroupId)
	if !ok {
		return nil, fail("InvalidInput", "Group not found")
	}
	members, ids := slices.Clone(g.members), []string{}
	for _, m := range body.Users {
		u, ok := c.userByID(m.UserId)
		if !ok {
			return nil, fail("InvalidInput", "User not found")
		}
		if m.CreateGroupAutomation && (!m.ViewAllLeadsOfGroup || !m.ModifyAllLeadsOfGroup) {
			return nil, fail("InvalidInput", "'CreateGroupAutomation' needs the rights to view and modify all leads")
		}
		members = slices.DeleteFunc(members, func(old membership) bool { return old.userID == u.id })
		members = append(members, membership{
			u.id, m.ViewAllLeadsOfGroup, m.ModifyAllLeadsOfGroup,
			m.ViewAllAccountsOfGroup, m.ModifyAllAccountsOfGroup, m.AddUsersToGroup, m.CreateGroupAutomation,
		})
		ids = append(ids, u.id)
	}
	if len(ids) == 0 {
		return nil, fail("MandatoryAttributeMissing", "'Users' is mandatory")
	}
	changed := *g
	changed.members = members
	c.groups[slices.Index(c.groups, g)] = &changed
	return okayUsers(ids), nil
}
