// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"strconv"
	"strings"
)

// activityList is the RE family.
type activityList struct {
	RecordCount        int
	ProspectActivities []activityItem
}

type activityItem struct {
	Id                string
	EventCode         int
	EventName         string
	ActivityScore     int
	CreatedOn         string
	ActivityType      int
	IsEmailType       bool
	Type              string
	SessionId         *string
	TrackLocation     int
	Latitude          *string
	Longitude         *string
	RelatedProspectId string
	Data              []keyValue
	Fields            []keyValue
}

type keyValue struct {
	Key   string
	Value *string
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (c *CRM) activityItem(r *record) activityItem {
	s := activitySchema
	t, ok := c.eventType(s.get(r, "ActivityEvent"))
	if !ok {
		t = &eventType{Name: "Activity", Type: "Custom"}
	}
	item := activityItem{
		Id: s.idOf(r), EventCode: atoi(s.get(r, "ActivityEvent")), EventName: t.Name,
		ActivityScore: atoi(s.get(r, "ActivityScore")), CreatedOn: s.get(r, "CreatedOn"),
		ActivityType: 2, IsEmailType: t.IsEmail, Type: t.Type,
		SessionId: r.cells[s.must("SessionId")], TrackLocation: atoi(s.get(r, "TrackLocation")),
		Latitude: r.cells[s.must("Latitude")], Longitude: r.cells[s.must("Longitude")],
		RelatedProspectId: s.get(r, "RelatedProspectId"),
	}
	for _, name := range []string{"ActivityEvent_Note", "CreatedBy", "CreatedByName"} {
		item.Data = append(item.Data, keyValue{name, r.cells[s.must(name)]})
	}
	for _, name := range []string{"OwnerId", "Status"} {
		item.Fields = append(item.Fields, keyValue{name, r.cells[s.must(name)]})
	}
	for _, f := range t.Fields {
		if i, ok := s.find(f.Schema); ok {
			item.Fields = append(item.Fields, keyValue{s.cols[i].name, r.cells[i]})
		}
	}
	return item
}

func (c *CRM) activityList(rows []*record, total int) activityList {
	out := activityList{RecordCount: total, ProspectActivities: make([]activityItem, 0, len(rows))}
	for _, r := range rows {
		out.ProspectActivities = append(out.ProspectActivities, c.activityItem(r))
	}
	return out
}

func (c *CRM) activitiesOf(leadID string) []*record {
	i := activitySchema.must("RelatedProspectId")
	rows := where(c.activities.rows, func(r *record) bool { return r.at(i) == leadID })
	sortBy(activitySchema, rows, activitySchema.must("CreatedOn"), true)
	return rows
}

// eventFilter keeps activities of one kind; an empty code keeps all.
func (c *CRM) eventFilter(code scalar) (func(*record) bool, error) {
	text := strings.TrimSpace(string(code))
	if text == "" {
		return func(*record) bool { return true }, nil
	}
	if _, ok := c.eventType(text); !ok {
		return nil, fail("InvalidActivity", "no activity type has the code %q", text)
	}
	i := activitySchema.must("ActivityEvent")
	return func(r *record) bool { return r.at(i) == text }, nil
}

// retrieveActivities is ProspectActivity.svc/Retrieve: those of one lead.
func retrieveActivities(c *CRM, q *call) (any, error) {
	var body struct {
		Parameter struct{ ActivityEvent scalar }
		Paging    paging
		Offset    scalar
		RowCount  scalar
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
	keep, err := c.eventFilter(body.Parameter.ActivityEvent)
	if err != nil {
		return nil, err
	}
	if body.Paging == (paging{}) {
		body.Paging = paging{Offset: body.Offset, RowCount: body.RowCount}
	}
	rows := where(c.activitiesOf(leadSchema.idOf(lead)), keep)
	page, err := body.Paging.cut(rows, maxEvents)
	if err != nil {
		return nil, err
	}
	return c.activityList(page, len(rows)), nil
}

// eventQuery is the body of the searches over all activities.
type eventQuery struct {
	Parameter period
	Columns   columns
	Sorting   sorting
	Paging    paging
}

func (c *CRM) eventQuery(q *call, dateColumn string) (eventQuery, func(*record) bool, error) {
	var body eventQuery
	if err := decode(q.body, &body); err != nil {
		return body, nil, err
	}
	inPeriod, err := body.Parameter.within(activitySchema, dateColumn)
	if err != nil {
		return body, nil, err
	}
	ofKind, err := c.eventFilter(body.Parameter.ActivityEvent)
	if err != nil {
		return body, nil, err
	}
	return body, func(r *record) bool { return inPeriod(r) && ofKind(r) }, nil
}

// recentActivities is RetrieveRecentlyModified.
func recentActivities(c *CRM, q *call) (any, error) {
	body, match, err := c.eventQuery(q, "ModifiedOn")
	if err != nil {
		return nil, err
	}
	if body.Sorting.ColumnName == "" {
		body.Sorting = sorting{"ModifiedOn", "1"}
	}
	rows, _, n, err := selectRows(activitySchema, c.activities.rows, match, columns{}, body.Sorting, body.Paging, maxEvents)
	if err != nil {
		return nil, err
	}
	return c.activityList(rows, n), nil
}

// activitiesByEvent is CustomActivity/RetrieveByActivityEvent: flat rows with
// copies of the lead's fields.
func activitiesByEvent(c *CRM, q *call) (any, error) {
	body, match, err := c.eventQuery(q, "CreatedOn")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(string(body.Parameter.ActivityEvent)) == "" {
		return nil, fail("MandatoryAttributeMissing", "'ActivityEvent' is mandatory")
	}
	wide := activityView.join(c.leads, where(c.activities.rows, match))
	return flatList(activityView.schema, wide, body.Columns, body.Sorting, body.Paging, maxEvents)
}

// flatList answers rows of a wide schema in the RF family.
func flatList(s *schema, rows []*record, c columns, o sorting, p paging, limit int) (any, error) {
	page, cols, n, err := selectRows(s, rows, func(*record) bool { return true }, c, o, p, limit)
	if err != nil {
		return nil, err
	}
	return rowList{n, flats(s, cols, page)}, nil
}

// details is the RG family: one record with its fields described.
type details struct {
	ID                string
	Name              string
	DisplayName       string
	RelatedProspectId string
	Fields            []detailField
}

type detailField struct {
	SchemaName   string
	InternalName string
	DisplayName  string
	Value        *string
	DataType     string
	IsMandatory  bool
	ShowInForm   bool
	OptionSet    string
}

func (c *CRM) detailFields(s *schema, r *record, t *eventType) []detailField {
	fields := []detailField{}
	for _, f := range t.Fields {
		i := s.must(f.Schema)
		fields = append(fields, detailField{
			f.Schema, strings.ReplaceAll(f.Name, " ", ""), f.Name,
			r.cells[i], f.DataType, f.Mandatory, true, f.Options,
		})
	}
	return fields
}

func noteField(name string, value *string) detailField {
	return detailField{name, name, "Notes", value, "String", false, true, ""}
}

func (c *CRM) mustActivity(id string) (*record, *eventType, error) {
	r, ok := c.activities.lookup(id)
	if !ok {
		return nil, nil, noSuchRecord()
	}
	t, ok := c.eventType(activitySchema.get(r, "ActivityEvent"))
	if !ok {
		return nil, nil, fail("InvalidActivity", "the activity's type is gone")
	}
	return r, t, nil
}

func activityDetails(c *CRM, q *call) (any, error) {
	r, t, err := c.mustActivity(q.query("activityId"))
	if err != nil {
		return nil, err
	}
	fields := append(c.detailFields(activitySchema, r, t),
		noteField("ActivityEvent_Note", r.cells[activitySchema.must("ActivityEvent_Note")]))
	return details{
		activitySchema.idOf(r), strings.ReplaceAll(t.Name, " ", ""), t.Name,
		activitySchema.get(r, "RelatedProspectId"), fields,
	}, nil
}

// leadReferences is GetLeadReferences: the activities of a lead with their
// fields described, at most 50 a page.
func leadReferences(c *CRM, q *call) (any, error) {
	var body struct{ Paging paging }
	if len(q.body) > 0 {
		if err := decode(q.body, &body); err != nil {
			return nil, err
		}
	}
	lead, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	rows := c.activitiesOf(leadSchema.idOf(lead))
	page, err := body.Paging.cut(rows, 50)
	if err != nil {
		return nil, err
	}
	list := []details{}
	for _, r := range page {
		if t, ok := c.eventType(activitySchema.get(r, "ActivityEvent")); ok {
			list = append(list, details{
				activitySchema.idOf(r), strings.ReplaceAll(t.Name, " ", ""), t.Name,
				activitySchema.get(r, "RelatedProspectId"), c.detailFields(activitySchema, r, t),
			})
		}
	}
	return struct {
		RecordCount        int
		ProspectActivities []details
	}{len(rows), list}, nil
}
