// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

var companyTypes = []string{"Partners", "Customers"}

type companyWrite struct {
	CompanyType       struct{ CompanyTypeName string }
	CompanyProperties []pair
}

func (c *CRM) createCompany(q *call, kind string, pairs []pair) (*record, error) {
	if kind == "" {
		kind = companyTypes[0]
	}
	if !slices.Contains(companyTypes, kind) {
		return nil, fail("InvalidInput", "no account type has the name %q", kind)
	}
	r := companySchema.blank()
	companySchema.set(r, "CompanyId", c.newID())
	companySchema.set(r, "CompanyAutoId", itoa(len(c.companies.rows)+1))
	companySchema.set(r, "CompanyType", kind)
	c.stampOwner(companySchema, r, q.user)
	if err := c.applyPairs(companySchema, r, pairs, updateAll); err != nil {
		return nil, err
	}
	if companySchema.get(r, "CompanyName") == "" {
		return nil, fail("MandatoryAttributeMissing", "'CompanyName' is mandatory")
	}
	stampNew(companySchema, r, q.user, q.now)
	c.companies.insert(r)
	return r, nil
}

func createCompany(c *CRM, q *call) (any, error) {
	var body companyWrite
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	r, err := c.createCompany(q, body.CompanyType.CompanyTypeName, body.CompanyProperties)
	if err != nil {
		return nil, err
	}
	return okayID(companySchema.idOf(r)), nil
}

func (c *CRM) mustCompany(id string) (*record, error) {
	r, ok := c.companies.lookup(id)
	if !ok {
		return nil, fail("InvalidInput", "Company not found")
	}
	return r, nil
}

func updateCompany(c *CRM, q *call) (any, error) {
	var body companyWrite
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	old, err := c.mustCompany(q.query("companyId"))
	if err != nil {
		return nil, err
	}
	if _, err := c.changeCompany(q, old, body.CompanyProperties, updateAll); err != nil {
		return nil, err
	}
	return okayID(companySchema.idOf(old)), nil
}

func (c *CRM) changeCompany(q *call, old *record, pairs []pair, behavior string) (*record, error) {
	r := old.clone()
	if err := c.applyPairs(companySchema, r, pairs, behavior); err != nil {
		return nil, err
	}
	stampChange(companySchema, r, q.user, q.now)
	c.companies.replace(r)
	return r, nil
}

// bulkUpsertCompanies takes up to 25 accounts and a rule for those that exist.
func bulkUpsertCompanies(c *CRM, q *call) (any, error) {
	var body struct {
		CompanyType struct{ CompanyTypeName string }
		Options     struct{ SearchBy, CollisionResolutionStrategy string }
		Companies   [][]pair
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if len(body.Companies) == 0 || len(body.Companies) > 25 {
		return nil, fail("InvalidInput", "this call takes 1 to 25 accounts")
	}
	by := body.Options.SearchBy
	if by == "" {
		by = "CompanyName"
	}
	i, ok := companySchema.find(by)
	if !ok {
		return nil, unknownAttribute(companySchema, by)
	}
	behavior := map[string]string{
		"": updateAll, "overwriteallfields": updateAll, "fillmissingfields": updateEmpty, "ignoreduplicate": updateNothing,
	}
	how, ok := behavior[strings.ToLower(body.Options.CollisionResolutionStrategy)]
	if !ok {
		return nil, fail("InvalidInput", "unknown 'CollisionResolutionStrategy'")
	}
	type row struct {
		RowNumber    int
		CompanyId    string
		ErrorMessage string
	}
	out := []row{}
	for n, pairs := range body.Companies {
		r, err := c.upsertCompany(q, body.CompanyType.CompanyTypeName, i, how, pairs)
		if err != nil {
			out = append(out, row{n + 1, "", err.Error()})
			continue
		}
		out = append(out, row{n + 1, companySchema.idOf(r), ""})
	}
	return out, nil
}

func (c *CRM) upsertCompany(q *call, kind string, by int, how string, pairs []pair) (*record, error) {
	if v, ok := findPair(pairs, companySchema.cols[by].name); ok && v != "" {
		for _, old := range c.companies.rows {
			if !strings.EqualFold(old.at(by), v) {
				continue
			}
			if how == updateNothing {
				return old, nil
			}
			return c.changeCompany(q, old, pairs, how)
		}
	}
	return c.createCompany(q, kind, pairs)
}

// getCompanies is Company.Get.
func getCompanies(c *CRM, q *call) (any, error) {
	var body struct {
		Query struct {
			CompanyType scalar
			SearchText  string
			DateRange   struct {
				DateField string
				FromDate  scalar
				ToDate    scalar
			}
			FilterBy lookup
		}
		Columns columns
		Sorting sorting
		Paging  paging
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	tests := []func(*record) bool{}
	if v := string(body.Query.CompanyType); v != "" {
		tests = append(tests, func(r *record) bool { return strings.EqualFold(companySchema.get(r, "CompanyType"), v) })
	}
	if body.Query.SearchText != "" {
		match := likePattern(body.Query.SearchText)
		tests = append(tests, func(r *record) bool {
			return match(companySchema.get(r, "CompanyName")) || match(companySchema.get(r, "EmailAddress")) ||
				match(companySchema.get(r, "Phone"))
		})
	}
	if d := body.Query.DateRange; d.DateField != "" {
		i, ok := companySchema.find(d.DateField)
		if !ok || companySchema.cols[i].kind != date {
			return nil, unknownAttribute(companySchema, d.DateField)
		}
		t, err := period{FromDate: d.FromDate, ToDate: d.ToDate}.within(companySchema, d.DateField)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	if body.Query.FilterBy.LookupName != "" {
		t, err := body.Query.FilterBy.test(companySchema)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	match := func(r *record) bool {
		return !slices.ContainsFunc(tests, func(t func(*record) bool) bool { return !t(r) })
	}
	rows, cols, n, err := selectRows(companySchema, c.companies.rows, match, body.Columns, body.Sorting, body.Paging, maxEvents)
	if err != nil {
		return nil, err
	}
	out := companyPairs{n, []companyProperties{}}
	for _, r := range rows {
		out.Companies = append(out.Companies, companyProperties{pairList{flat{companySchema, cols, r}, -1}})
	}
	return out, nil
}

// deleteCompany is a GET that writes; withLeadDelete=true takes its leads too.
func deleteCompany(c *CRM, q *call) (any, error) {
	r, err := c.mustCompany(q.query("companyId"))
	if err != nil {
		return nil, err
	}
	id := companySchema.idOf(r)
	leads := map[string]bool{}
	for _, l := range c.leads.rows {
		if leadSchema.get(l, "RelatedCompanyId") == id {
			leads[leadSchema.idOf(l)] = true
		}
	}
	if strings.EqualFold(q.query("withLeadDelete"), "true") {
		c.removeLeads(leads, q.now)
	} else {
		for lead := range leads {
			old, _ := c.leads.lookup(lead)
			free := old.clone()
			free.cells[leadSchema.must("RelatedCompanyId")] = nil
			c.leads.replace(free)
		}
	}
	c.companies.removeIf(func(o *record) bool { return o == r })
	return okay(), nil
}

// companyActivity is CompanyActivity.svc/RetrieveById: the RH family. The
// demo keeps an account's activities on its leads, so the id is of one of those.
func companyActivity(c *CRM, q *call) (any, error) {
	r, t, err := c.mustActivity(q.query("activityId"))
	if err != nil {
		return nil, err
	}
	fields := map[string]*string{"Status": r.cells[activitySchema.must("Status")]}
	if u, ok := c.userByID(activitySchema.get(r, "OwnerId")); ok {
		name := u.name()
		fields["Owner"] = &name
	}
	for _, f := range t.Fields {
		fields[f.Schema] = r.cells[activitySchema.must(f.Schema)]
	}
	companyID := ""
	if lead, ok := c.leads.lookup(activitySchema.get(r, "RelatedProspectId")); ok {
		companyID = leadSchema.get(lead, "RelatedCompanyId")
	}
	return struct {
		CompanyActivityId string
		CompanyId         string
		ActivityEvent     int
		ActivityName      string
		ActivityNote      *string
		CreatedOn         string
		CreatedBy         string
		ActivityFields    map[string]*string
	}{
		activitySchema.idOf(r), companyID, t.Code, t.Name, r.cells[activitySchema.must("ActivityEvent_Note")],
		activitySchema.get(r, "CreatedOn"), activitySchema.get(r, "CreatedBy"), fields,
	}, nil
}
