// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// activityWrite is the body of a new activity and of a change to one.
type activityWrite struct {
	ProspectActivityId string
	RelatedProspectId  string
	ActivityEvent      scalar
	ActivityNote       *scalar
	ActivityDateTime   scalar
	EmailAddress       scalar
	FirstName          scalar
	LastName           scalar
	Phone              scalar
	Fields             []pair
}

// leadOf finds the lead of a new activity; the variant with an e-mail address
// or a phone makes one when none matches.
func (c *CRM) leadOf(u *user, now time.Time, b activityWrite) (*record, error) {
	if b.RelatedProspectId != "" {
		return c.mustLead(b.RelatedProspectId)
	}
	if b.EmailAddress == "" && b.Phone == "" {
		return nil, fail("MandatoryAttributeMissing", "'RelatedProspectId' or 'EmailAddress' is mandatory")
	}
	pairs := []pair{}
	for name, v := range map[string]scalar{
		"EmailAddress": b.EmailAddress, "Phone": b.Phone, "FirstName": b.FirstName, "LastName": b.LastName,
	} {
		if v != "" {
			pairs = append(pairs, pair{Attribute: name, Value: &v})
		}
	}
	found, err := c.findByPairs(pairs)
	if err != nil || found != nil {
		return found, err
	}
	return c.createLead(u, now, "", pairs)
}

func createActivity(c *CRM, q *call) (any, error) {
	var b activityWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	r, err := c.buildActivity(q, b)
	if err != nil {
		return nil, err
	}
	lead, err := c.leadOf(q.user, q.now, b)
	if err != nil {
		return nil, err
	}
	c.attachActivity(lead, r)
	return okayID(activitySchema.idOf(r)), nil
}

// buildActivity checks everything before a lead may be made for it.
func (c *CRM) buildActivity(q *call, b activityWrite) (*record, error) {
	code := strings.TrimSpace(string(b.ActivityEvent))
	t, ok := c.eventType(code)
	if !ok || isOpportunity(t.Code) {
		return nil, fail("InvalidActivity", "no activity type has the code %q", code)
	}
	r := activitySchema.blank()
	activitySchema.set(r, "ProspectActivityId", c.newID())
	activitySchema.set(r, "ActivityEvent", code)
	activitySchema.set(r, "ActivityScore", itoa(t.Score))
	activitySchema.set(r, "Status", "Active")
	activitySchema.set(r, "TrackLocation", "0")
	activitySchema.set(r, "OwnerId", q.user.id)
	at := q.now
	if b.ActivityDateTime != "" {
		if at, ok = parseTime(string(b.ActivityDateTime)); !ok {
			return nil, fail("InvalidInput", "'ActivityDateTime' takes a date as YYYY-MM-DD HH:MM:SS")
		}
	}
	activitySchema.set(r, "ActivityDateTime", formatTime(at))
	r.cells[activitySchema.must("ActivityEvent_Note")] = (*string)(b.ActivityNote)
	if err := c.applyEventFields(activitySchema, r, t, b.Fields); err != nil {
		return nil, err
	}
	stampNew(activitySchema, r, q.user, q.now)
	return r, nil
}

// applyEventFields takes only fields that the event type has.
func (c *CRM) applyEventFields(s *schema, r *record, t *eventType, fields []pair) error {
	for _, f := range fields {
		known := strings.EqualFold(f.name(), "Status") || strings.EqualFold(f.name(), "OwnerId") ||
			slices.ContainsFunc(t.Fields, func(d fieldDef) bool { return strings.EqualFold(d.Schema, f.name()) })
		if _, ok := s.find(f.name()); !ok || !known {
			return fail("InvalidActivityFields", "%s has no field %q", t.Name, f.name())
		}
	}
	return c.applyPairs(s, r, fields, updateAll)
}

// attachActivity puts an activity under a lead and tells the lead.
func (c *CRM) attachActivity(lead, r *record) {
	activitySchema.set(r, "RelatedProspectId", leadSchema.idOf(lead))
	c.activities.insert(r)
	changed := lead.clone()
	if t, ok := c.eventType(activitySchema.get(r, "ActivityEvent")); ok {
		leadSchema.set(changed, "ProspectActivityName_Max", t.Name)
	}
	leadSchema.set(changed, "ProspectActivityDate_Max", activitySchema.get(r, "ActivityDateTime"))
	c.leads.replace(changed)
}

// change is one field of an activity before and after.
type change struct {
	activityID, leadID, event, on, by string
	schema                            string
	old, new                          *string
}

func updateActivity(c *CRM, q *call) (any, error) {
	var b activityWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	old, t, err := c.mustActivity(b.ProspectActivityId)
	if err != nil {
		return nil, err
	}
	r := old.clone()
	if b.ActivityNote != nil {
		r.cells[activitySchema.must("ActivityEvent_Note")] = (*string)(b.ActivityNote)
	}
	if err := c.applyEventFields(activitySchema, r, t, b.Fields); err != nil {
		return nil, err
	}
	for i := range r.cells {
		if r.cells[i] != old.cells[i] && r.at(i) != old.at(i) {
			c.changes = append(c.changes, change{
				activitySchema.idOf(r), activitySchema.get(r, "RelatedProspectId"),
				activitySchema.get(r, "ActivityEvent"), formatTime(q.now), q.user.id,
				activitySchema.cols[i].name, old.cells[i], r.cells[i],
			})
		}
	}
	stampChange(activitySchema, r, q.user, q.now)
	c.activities.replace(r)
	return okay(), nil
}

// activityChanges is RetrieveActivityChange: old and new values.
func activityChanges(c *CRM, q *call) (any, error) {
	var body eventQuery
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	from, okFrom := parseTime(string(body.Parameter.FromDate))
	to, okTo := parseTime(string(body.Parameter.ToDate))
	if !okFrom || !okTo {
		return nil, fail("InvalidInput", "'FromDate' and 'ToDate' are mandatory, as YYYY-MM-DD HH:MM:SS")
	}
	event := strings.TrimSpace(string(body.Parameter.ActivityEvent))
	type item struct {
		ActivityId        string
		RelatedProspectId string
		ActivityEvent     int
		SchemaName        string
		OldValue          *string
		NewValue          *string
		ModifiedOn        string
		ModifiedBy        string
	}
	list := []item{}
	low, high := formatTime(from), formatTime(to)
	for _, ch := range c.changes {
		if ch.on >= low && ch.on <= high && (event == "" || event == ch.event) {
			list = append(list, item{ch.activityID, ch.leadID, atoi(ch.event), ch.schema, ch.old, ch.new, ch.on, ch.by})
		}
	}
	total := len(list)
	size, err := body.Paging.PageSize.number("PageSize", defaultPage)
	if err != nil {
		return nil, err
	}
	page, err := body.Paging.PageIndex.number("PageIndex", 1)
	if err != nil {
		return nil, err
	}
	if size < 1 || page < 1 {
		return nil, fail("InvalidInput", "PageIndex and PageSize start at 1")
	}
	size = min(size, maxEvents)
	start := min(min(page-1, total)*size, total)
	return struct {
		RecordCount int
		Activities  []item
	}{total, list[start:min(start+size, total)]}, nil
}

// deleteActivities removes the activities of a lead that are of listed kinds.
func deleteActivities(c *CRM, q *call) (any, error) {
	var body struct {
		ProspectId        string
		ActivityEventList []scalar
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	lead, err := c.mustLead(body.ProspectId)
	if err != nil {
		return nil, err
	}
	if len(body.ActivityEventList) == 0 {
		return nil, fail("MandatoryAttributeMissing", "'ActivityEventList' is mandatory")
	}
	id, kinds := leadSchema.idOf(lead), map[string]bool{}
	for _, code := range body.ActivityEventList {
		kinds[string(code)] = true
	}
	c.activities.removeIf(func(r *record) bool {
		return activitySchema.get(r, "RelatedProspectId") == id && kinds[activitySchema.get(r, "ActivityEvent")]
	})
	return struct {
		Status  string
		Message string
	}{"Success", "Your request has been queued"}, nil
}

// typeInfo is one line of ActivityTypes.Get.
type typeInfo struct {
	ActivityEvent     int
	ActivityEventName string
	Score             int
	EventType         string
	Fields            []typeField
}

type typeField struct{ SchemaName, DisplayName, DataType string }

func activityTypes(c *CRM, q *call) (any, error) {
	out := []typeInfo{}
	for _, t := range c.types {
		info := typeInfo{t.Code, t.Name, t.Score, t.Type, []typeField{}}
		for _, f := range t.Fields {
			info.Fields = append(info.Fields, typeField{f.Schema, f.Name, f.DataType})
		}
		out = append(out, info)
	}
	return out, nil
}

func createActivityType(c *CRM, q *call) (any, error) {
	if err := q.mustAdmin(); err != nil {
		return nil, err
	}
	var body struct {
		ActivityEventName string
		Score             scalar
		Direction         string
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if strings.TrimSpace(body.ActivityEventName) == "" {
		return nil, fail("MandatoryAttributeMissing", "'ActivityEventName' is mandatory")
	}
	score, err := body.Score.number("Score", 0)
	if err != nil {
		return nil, err
	}
	code := eventDocument
	for _, t := range c.types {
		if !isOpportunity(t.Code) {
			code = max(code, t.Code)
		}
	}
	c.types = append(c.types, &eventType{
		code + 1, body.ActivityEventName, "Custom", score, false,
		[]fieldDef{{"mx_Custom_1", "Details", "String", false, ""}},
	})
	return okayID(strconv.Itoa(code + 1)), nil
}
