// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"strings"
)

// leadLookup is the body of Leads.Get and of other searches by one attribute.
type leadLookup struct {
	Parameter lookup
	Columns   columns
	Sorting   sorting
	Paging    paging
}

func (c *CRM) bareLeads(rows []*record) []flat {
	return flats(leadSchema, leadSchema.all, rows)
}

func getLeadByID(c *CRM, q *call) (any, error) {
	if r, ok := c.leads.lookup(q.query("id")); ok {
		return c.bareLeads([]*record{r}), nil
	}
	return []flat{}, nil
}

func getLeadByEmail(c *CRM, q *call) (any, error) {
	email := strings.TrimSpace(q.query("emailaddress"))
	if email == "" {
		return nil, fail("MandatoryAttributeMissing", "'emailaddress' is mandatory")
	}
	i := leadSchema.must("EmailAddress")
	return c.bareLeads(where(c.leads.rows, func(r *record) bool { return strings.EqualFold(r.at(i), email) })), nil
}

// getLeadByPhone finds leads by the last ten digits of any of their numbers.
func getLeadByPhone(c *CRM, q *call) (any, error) {
	want := lastDigits(q.query("phone"))
	if want == "" {
		return nil, fail("MandatoryAttributeMissing", "'phone' is mandatory")
	}
	return c.bareLeads(where(c.leads.rows, func(r *record) bool {
		return lastDigits(leadSchema.get(r, "Phone")) == want || lastDigits(leadSchema.get(r, "Mobile")) == want
	})), nil
}

// lastDigits is a phone number as it is compared: its last ten digits.
func lastDigits(phone string) string {
	digits := make([]byte, 0, len(phone))
	for i := range len(phone) {
		if '0' <= phone[i] && phone[i] <= '9' {
			digits = append(digits, phone[i])
		}
	}
	return string(digits[max(0, len(digits)-10):])
}

var quickColumns = []int{
	leadSchema.must("FirstName"), leadSchema.must("LastName"), leadSchema.must("EmailAddress"),
	leadSchema.must("Phone"), leadSchema.must("Mobile"), leadSchema.must("Company"),
}

// quickMatch looks for text in a lead's name, address, numbers and company.
func quickMatch(key string) func(*record) bool {
	match := likePattern(strings.TrimSpace(key))
	return func(r *record) bool {
		for _, i := range quickColumns {
			if p := r.cells[i]; p != nil && match(*p) {
				return true
			}
		}
		return match(r.at(quickColumns[0]) + " " + r.at(quickColumns[1]))
	}
}

func quickSearch(c *CRM, q *call) (any, error) {
	key := q.query("key")
	if strings.TrimSpace(key) == "" {
		return nil, fail("MandatoryAttributeMissing", "'key' is mandatory")
	}
	rows := where(c.leads.rows, quickMatch(key))
	return c.bareLeads(rows[:min(len(rows), maxQuickHits)]), nil
}

// searchLeads is Leads.Get.
func searchLeads(c *CRM, q *call) (any, error) {
	var body leadLookup
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	match, err := body.Parameter.test(leadSchema)
	if err != nil {
		return nil, err
	}
	rows, cols, _, err := selectRows(leadSchema, c.leads.rows, match, body.Columns, body.Sorting, body.Paging, maxLeads)
	if err != nil {
		return nil, err
	}
	return flats(leadSchema, cols, rows), nil
}

// selectRows filters, sorts, cuts a page and resolves the columns to answer.
// The count is of all that matched.
func selectRows(s *schema, from []*record, match func(*record) bool, c columns, o sorting, p paging, limit int) (
	page []*record, cols []int, total int, err error,
) {
	if cols, err = c.pick(s); err != nil {
		return nil, nil, 0, err
	}
	rows := where(from, match)
	if err = o.sort(s, rows); err != nil {
		return nil, nil, 0, err
	}
	page, err = p.cut(rows, limit)
	return page, cols, len(rows), err
}

func propertyLists(s *schema, cols []int, rows []*record, total int) []leadProperties {
	out := make([]leadProperties, 0, len(rows))
	for _, r := range rows {
		out = append(out, leadProperties{pairList{flat{s, cols, r}, total}})
	}
	return out
}

// recentLeads is Leads.RecentlyModified.
func recentLeads(c *CRM, q *call) (any, error) {
	var body struct {
		Parameter period
		Columns   columns
		Sorting   sorting
		Paging    paging
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	match, err := body.Parameter.within(leadSchema, "ModifiedOn")
	if err != nil {
		return nil, err
	}
	if body.Sorting.ColumnName == "" {
		body.Sorting = sorting{"ModifiedOn", "1"}
	}
	rows, cols, n, err := selectRows(leadSchema, c.leads.rows, match, body.Columns, body.Sorting, body.Paging, maxLeads)
	if err != nil {
		return nil, err
	}
	return leadPairs{n, propertyLists(leadSchema, cols, rows, n)}, nil
}

// leadsByIDs is Leads/Retrieve/ByIds.
func leadsByIDs(c *CRM, q *call) (any, error) {
	var body struct {
		SearchParameters struct{ LeadIds []string }
		Columns          columns
		Paging           paging
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	ids := body.SearchParameters.LeadIds
	if len(ids) == 0 || len(ids) > 10000 {
		return nil, fail("InvalidInput", "'LeadIds' takes 1 to 10000 ids")
	}
	var found []*record
	seen := map[*record]bool{}
	for _, id := range ids {
		if r, ok := c.leads.lookup(id); ok && !seen[r] {
			seen[r] = true
			found = append(found, r)
		}
	}
	all := func(*record) bool { return true }
	rows, cols, n, err := selectRows(leadSchema, found, all, body.Columns, sorting{}, body.Paging, maxLeads)
	if err != nil {
		return nil, err
	}
	return leadList{n, flats(leadSchema, cols, rows)}, nil
}

// searchLeadsAdvanced is Leads/Retrieve/BySearchParameter.
func searchLeadsAdvanced(c *CRM, q *call) (any, error) {
	var body struct {
		AdvancedSearch string
		Columns        columns
		Sorting        sorting
		Paging         paging
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	search, err := parseAdvanced(body.AdvancedSearch)
	if err != nil {
		return nil, err
	}
	match, err := search.compile(map[string]side{
		"lead": {leadSchema, itself}, "": {leadSchema, itself},
		"activity":    {activitySchema, byLead(c.activities, "RelatedProspectId")},
		"opportunity": {oppSchema, byLead(c.opps, "RelatedProspectId")},
	})
	if err != nil {
		return nil, err
	}
	rows, cols, n, err := selectRows(leadSchema, c.leads.rows, match, body.Columns, body.Sorting, body.Paging, maxLeads)
	if err != nil {
		return nil, err
	}
	return leadPairs{n, propertyLists(leadSchema, cols, rows, n)}, nil
}

func itself(r *record) []*record { return []*record{r} }

// byLead groups a table by the lead its records belong to, on first use.
func byLead(t *table, ref string) func(*record) []*record {
	var groups map[string][]*record
	i := t.must(ref)
	return func(lead *record) []*record {
		if groups == nil {
			groups = map[string][]*record{}
			for _, r := range t.rows {
				groups[r.at(i)] = append(groups[r.at(i)], r)
			}
		}
		return groups[leadSchema.idOf(lead)]
	}
}

// fieldMeta is one line of LeadsMetaData.Get.
type fieldMeta struct {
	SchemaName  string
	DisplayName string
	DataType    string
	IsMandatory bool
	IsReadOnly  bool
	Group       string
}

var kindNames = map[kind]string{text: "Text", number: "Number", date: "Date"}

func leadMetadata(c *CRM, q *call) (any, error) {
	name := q.query("schemaName")
	out := []fieldMeta{}
	for _, col := range leadSchema.cols {
		if name == "" || strings.EqualFold(name, col.name) {
			out = append(out, fieldMeta{
				col.name, col.label, kindNames[col.kind],
				col.name == "FirstName", col.readOnly, col.group,
			})
		}
	}
	if name != "" && len(out) == 0 {
		return nil, unknownAttribute(leadSchema, name)
	}
	return out, nil
}

// mustLead finds the lead a query parameter names.
func (c *CRM) mustLead(id string) (*record, error) {
	if strings.TrimSpace(id) == "" {
		return nil, fail("MandatoryAttributeMissing", "'leadId' is mandatory")
	}
	r, ok := c.leads.lookup(id)
	if !ok {
		return nil, fail("InvalidInput", "Lead not found")
	}
	return r, nil
}

// leadOwner is LeadOwner.Get.
func leadOwner(c *CRM, q *call) (any, error) {
	r, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	return struct{ OwnerId, OwnerIdName, OwnerIdEmailAddress string }{
		leadSchema.get(r, "OwnerId"), leadSchema.get(r, "OwnerIdName"), leadSchema.get(r, "OwnerIdEmailAddress"),
	}, nil
}

// leadNotes is RetrieveNote.
func leadNotes(c *CRM, q *call) (any, error) {
	r, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	type note struct{ ProspectNoteId, RelatedProspectId, Note, CreatedOn, CreatedByName string }
	list := []note{}
	if text := leadSchema.get(r, "Notes"); text != "" {
		list = append(list, note{
			leadSchema.idOf(r), leadSchema.idOf(r), text,
			leadSchema.get(r, "CreatedOn"), leadSchema.get(r, "CreatedByName"),
		})
	}
	return struct {
		RecordCount int
		List        []note
	}{len(list), list}, nil
}

// leadLists is Lists.Get: one list per stage.
func leadLists(c *CRM, q *call) (any, error) {
	counts := c.stageCounts()
	type list struct{ ListId, Name, ListType, MemberCount string }
	out := make([]list, 0, len(counts))
	for i, s := range counts {
		out = append(out, list{itoa(i + 1), s.Stage, "Dynamic", itoa(s.Count)})
	}
	return out, nil
}
