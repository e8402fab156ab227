// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strconv"
	"strings"
)

func (c *CRM) oppsOf(leadID string) []*record {
	i := oppSchema.must("RelatedProspectId")
	rows := where(c.opps.rows, func(r *record) bool { return r.at(i) == leadID })
	sortBy(oppSchema, rows, oppSchema.must("CreatedOn"), true)
	return oppView.join(c.leads, rows)
}

// opportunityType filters by event code; empty keeps all.
func opportunityType(code string) func(*record) bool {
	code = strings.TrimSpace(code)
	i := oppView.must("OpportunityEvent")
	return func(r *record) bool { return code == "" || r.at(i) == code }
}

func opportunitiesOfLead(c *CRM, q *call) (any, error) {
	var body struct {
		Columns columns
		Sorting sorting
		Paging  paging
	}
	if len(q.body) > 0 {
		if err := decode(q.body, &body); err != nil {
			return nil, err
		}
	}
	lead, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	rows := where(c.oppsOf(leadSchema.idOf(lead)), opportunityType(q.query("opportunityType")))
	return flatList(oppView.schema, rows, body.Columns, body.Sorting, body.Paging, maxEvents)
}

// opportunitiesByLeadField finds leads by one attribute and answers theirs.
func opportunitiesByLeadField(c *CRM, q *call) (any, error) {
	var body leadLookup
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	match, err := body.Parameter.test(leadSchema)
	if err != nil {
		return nil, err
	}
	leads := map[string]bool{}
	for _, r := range where(c.leads.rows, match) {
		leads[leadSchema.idOf(r)] = true
	}
	rows := where(c.opps.rows, func(r *record) bool { return leads[oppSchema.get(r, "RelatedProspectId")] })
	wide := where(oppView.join(c.leads, rows), opportunityType(q.query("opportunityType")))
	return flatList(oppView.schema, wide, body.Columns, body.Sorting, body.Paging, maxEvents)
}

func (c *CRM) mustOpp(id string) (*record, *eventType, error) {
	r, ok := c.opps.lookup(id)
	if !ok {
		return nil, nil, noSuchRecord()
	}
	t, ok := c.eventType(oppSchema.get(r, "OpportunityEvent"))
	if !ok {
		return nil, nil, fail("InvalidActivity", "the opportunity's type is gone")
	}
	return r, t, nil
}

func opportunityDetails(c *CRM, q *call) (any, error) {
	r, t, err := c.mustOpp(q.query("OpportunityId"))
	if err != nil {
		return nil, err
	}
	fields := append(c.detailFields(oppSchema, r, t), noteField("OpportunityNote", r.cells[oppSchema.must("OpportunityNote")]))
	return details{
		oppSchema.idOf(r), strings.ReplaceAll(t.Name, " ", ""), t.Name,
		oppSchema.get(r, "RelatedProspectId"), fields,
	}, nil
}

// opportunitiesByIDs is GetOpportunitiesById: one group per event code.
func opportunitiesByIDs(c *CRM, q *call) (any, error) {
	var body struct {
		SearchParameters []struct {
			EventCode          scalar
			ProspectActivityId []string
			Columns            columns
		}
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	type group struct {
		EventCode     string
		RecordCount   int
		Opportunities []flat
	}
	out, asked := []group{}, 0
	for _, p := range body.SearchParameters {
		asked += len(p.ProspectActivityId)
		cols, err := p.Columns.pick(oppView.schema)
		if err != nil {
			return nil, err
		}
		var rows []*record
		for _, id := range p.ProspectActivityId {
			r, ok := c.opps.lookup(id)
			if ok && oppSchema.get(r, "OpportunityEvent") == string(p.EventCode) && !slices.Contains(rows, r) {
				rows = append(rows, r)
			}
		}
		out = append(out, group{string(p.EventCode), len(rows), flats(oppView.schema, cols, oppView.join(c.leads, rows))})
	}
	if asked == 0 || asked > 2000 {
		return nil, fail("InvalidInput", "'ProspectActivityId' takes 1 to 2000 ids")
	}
	return out, nil
}

// searchOpportunities is Retrieve/BySearchParameter; administrators only.
func searchOpportunities(c *CRM, q *call) (any, error) {
	if err := q.mustAdmin(); err != nil {
		return nil, err
	}
	var body struct {
		OpportunityEventCode scalar
		AdvancedSearch       string
		Columns              columns
		Sorting              sorting
		Paging               paging
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	search, err := parseAdvanced(body.AdvancedSearch)
	if err != nil {
		return nil, err
	}
	lead := func(r *record) []*record {
		if l, ok := c.leads.lookup(r.at(oppView.ref)); ok {
			return []*record{l}
		}
		return nil
	}
	own := side{oppSearch, oppSearchRow}
	match, err := search.compile(map[string]side{"activity": own, "opportunity": own, "": own, "lead": {leadSchema, lead}})
	if err != nil {
		return nil, err
	}
	ofType := opportunityType(string(body.OpportunityEventCode))
	rows := where(oppView.join(c.leads, c.opps.rows), func(r *record) bool { return ofType(r) && match(r) })
	return flatList(oppView.schema, rows, body.Columns, body.Sorting, body.Paging, maxEvents)
}

// oppSearch lets a search speak of an opportunity's event as ActivityEvent,
// the way the request's own shape does.
var oppSearch = newSchema("Opportunity", "ProspectOpportunityId",
	append(slices.Clone(oppView.cols), column{name: "ActivityEvent", kind: number}))

func oppSearchRow(r *record) []*record {
	cells := append(slices.Clone(r.cells), r.cells[oppView.must("OpportunityEvent")])
	return []*record{{cells}}
}

type opportunityBody struct {
	OpportunityEventCode scalar
	OpportunityNote      *scalar
	OpportunityDateTime  scalar
	Fields               []pair
}

// captureOpportunity makes or finds the lead, then makes the opportunity.
func captureOpportunity(c *CRM, q *call) (any, error) {
	var body struct {
		LeadDetails []pair
		Opportunity opportunityBody
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	r, err := c.buildOpportunity(q, body.Opportunity)
	if err != nil {
		return nil, err
	}
	lead, created, err := c.upsertLead(q.user, q.now, body.LeadDetails, updateAll)
	if err != nil {
		return nil, err
	}
	oppSchema.set(r, "RelatedProspectId", leadSchema.idOf(lead))
	c.opps.insert(r)
	type detail struct {
		LeadId        string
		OpportunityId string
		IsLeadCreated bool
	}
	return struct {
		Status            string
		Message           messageID
		AdditionalDetails []detail
	}{"Success", messageID{oppSchema.idOf(r)}, []detail{{leadSchema.idOf(lead), oppSchema.idOf(r), created}}}, nil
}

func (c *CRM) buildOpportunity(q *call, b opportunityBody) (*record, error) {
	code, err := strconv.Atoi(string(b.OpportunityEventCode))
	t, ok := c.eventType(string(b.OpportunityEventCode))
	if err != nil || !ok || !isOpportunity(code) {
		return nil, fail("InvalidActivity", "no opportunity type has the code %q", string(b.OpportunityEventCode))
	}
	r := oppSchema.blank()
	oppSchema.set(r, "ProspectOpportunityId", c.newID())
	oppSchema.set(r, "OpportunityEvent", itoa(code))
	oppSchema.set(r, "mx_Custom_2", "Open")
	r.cells[oppSchema.must("OpportunityNote")] = (*string)(b.OpportunityNote)
	c.stampOwner(oppSchema, r, q.user)
	if err := c.applyEventFields(oppSchema, r, t, b.Fields); err != nil {
		return nil, err
	}
	at := q.now
	if b.OpportunityDateTime != "" {
		if at, ok = parseTime(string(b.OpportunityDateTime)); !ok {
			return nil, fail("InvalidInput", "'OpportunityDateTime' takes a date as YYYY-MM-DD HH:MM:SS")
		}
	}
	stampNew(oppSchema, r, q.user, at)
	return r, nil
}

func updateOpportunity(c *CRM, q *call) (any, error) {
	var body struct {
		ProspectOpportunityId string
		OpportunityNote       *scalar
		Fields                []pair
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	old, t, err := c.mustOpp(body.ProspectOpportunityId)
	if err != nil {
		return nil, err
	}
	r := old.clone()
	if body.OpportunityNote != nil {
		r.cells[oppSchema.must("OpportunityNote")] = (*string)(body.OpportunityNote)
	}
	if err := c.applyEventFields(oppSchema, r, t, body.Fields); err != nil {
		return nil, err
	}
	stampChange(oppSchema, r, q.user, q.now)
	c.opps.replace(r)
	return okay(), nil
}

// deleteOpportunity is a GET that writes.
func deleteOpportunity(c *CRM, q *call) (any, error) {
	r, _, err := c.mustOpp(q.query("OpportunityId"))
	if err != nil {
		return nil, err
	}
	c.opps.removeIf(func(o *record) bool { return o == r })
	return okay(), nil
}
