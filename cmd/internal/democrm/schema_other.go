// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

// activitySchema is an activity as it is kept; parentFields of its lead are
// added when it is answered flat.
var activitySchema = newSchema("Activity", "ProspectActivityId", []column{
	{name: "ProspectActivityId", readOnly: true},
	{name: "RelatedProspectId", readOnly: true},
	{name: "ActivityEvent", kind: number, readOnly: true},
	{name: "ActivityEvent_Note"},
	{name: "ActivityScore", kind: number, readOnly: true},
	{name: "ActivityDateTime", kind: date},
	{name: "CreatedOn", kind: date, readOnly: true},
	{name: "CreatedBy", readOnly: true},
	{name: "CreatedByName", readOnly: true},
	{name: "ModifiedOn", kind: date, readOnly: true},
	{name: "ModifiedBy", readOnly: true},
	{name: "ModifiedByName", readOnly: true},
	{name: "OwnerId"},
	{name: "Status"},
	{name: "SessionId", readOnly: true},
	{name: "TrackLocation", kind: number, readOnly: true},
	{name: "Latitude"},
	{name: "Longitude"},
	{name: "mx_Custom_1"},
	{name: "mx_Custom_2"},
	{name: "mx_Custom_3"},
	{name: "mx_Custom_4"},
	{name: "mx_Custom_5"},
	{name: "mx_Custom_6"},
	{name: "mx_Custom_7"},
	{name: "mx_Custom_8"},
})

// oppSchema is an opportunity as it is kept.
var oppSchema = newSchema("Opportunity", "ProspectOpportunityId", []column{
	{name: "ProspectOpportunityId", readOnly: true},
	{name: "RelatedProspectId", readOnly: true},
	{name: "OpportunityEvent", kind: number, readOnly: true},
	{name: "OpportunityNote"},
	{name: "OwnerId"},
	{name: "OwnerIdName", readOnly: true},
	{name: "OwnerIdEmailAddress", readOnly: true},
	{name: "CreatedOn", kind: date, readOnly: true},
	{name: "CreatedBy", readOnly: true},
	{name: "CreatedByName", readOnly: true},
	{name: "ModifiedOn", kind: date, readOnly: true},
	{name: "ModifiedBy", readOnly: true},
	{name: "ModifiedByName", readOnly: true},
	{name: "mx_Custom_1"},               // name
	{name: "mx_Custom_2"},               // status: Open, Won, Lost
	{name: "mx_Custom_3"},               // stage
	{name: "mx_Custom_4", kind: number}, // expected amount
	{name: "mx_Custom_5", kind: date},   // expected closing
	{name: "mx_Custom_6", kind: number}, // probability, percent
	{name: "mx_Custom_7"},               // product
	{name: "mx_Custom_8"},               // remarks of the channel partner
	{name: "mx_Custom_19"},              // comment
})

var taskSchema = newSchema("Task", "UserTaskId", []column{
	{name: "UserTaskId", readOnly: true},
	{name: "Name"},
	{name: "Description"},
	{name: "TaskType"},
	{name: "DueDate", kind: date},
	{name: "EndDate", kind: date},
	{name: "Reminder", kind: number},
	{name: "NotifyBy"},
	{name: "RelatedEntity", kind: number, readOnly: true},
	{name: "RelatedEntityId", readOnly: true},
	{name: "OwnerId"},
	{name: "OwnerName", readOnly: true},
	{name: "OwnerEmailAddress", readOnly: true},
	{name: "StatusCode", kind: number}, // 0 pending, 1 completed, 2 cancelled
	{name: "CompletedOn", kind: date, readOnly: true},
	{name: "CreatedOn", kind: date, readOnly: true},
	{name: "CreatedBy", readOnly: true},
	{name: "CreatedByName", readOnly: true},
	{name: "ModifiedOn", kind: date, readOnly: true},
	{name: "ModifiedBy", readOnly: true},
	{name: "ModifiedByName", readOnly: true},
	{name: "mx_Custom_1"},
	{name: "mx_Custom_2"},
})

var companySchema = newSchema("Company", "CompanyId", []column{
	{name: "CompanyId", readOnly: true},
	{name: "CompanyAutoId", kind: number, readOnly: true},
	{name: "CompanyType", readOnly: true},
	{name: "CompanyName"},
	{name: "Stage"},
	{name: "Phone"},
	{name: "EmailAddress"},
	{name: "Website"},
	{name: "City"},
	{name: "OwnerId"},
	{name: "OwnerIdName", readOnly: true},
	{name: "OwnerIdEmailAddress", readOnly: true},
	{name: "CreatedOn", kind: date, readOnly: true},
	{name: "CreatedBy", readOnly: true},
	{name: "CreatedByName", readOnly: true},
	{name: "ModifiedOn", kind: date, readOnly: true},
	{name: "ModifiedBy", readOnly: true},
	{name: "ModifiedByName", readOnly: true},
	{name: "mx_Custom_1"}, // GST number
	{name: "mx_Custom_2", kind: number},
})

// parentFields are the copies of a lead's fields that flat rows of its
// opportunities, activities and to-dos carry, under these names.
var parentFields = []struct{ as, from string }{
	{"FirstName", "FirstName"},
	{"LastName", "LastName"},
	{"EmailAddress", "EmailAddress"},
	{"Phone", "Phone"},
	{"Mobile", "Mobile"},
	{"ProspectStage", "ProspectStage"},
	{"P_FirstName", "FirstName"},
	{"P_EmailAddress", "EmailAddress"},
	{"P_Phone", "Phone"},
	{"P_OwnerId", "OwnerId"},
	{"P_OwnerIdName", "OwnerIdName"},
	{"P_OwnerIdEmailAddress", "OwnerIdEmailAddress"},
}

// joinedSchema is a schema with the parent's fields behind its own.
type joinedSchema struct {
	*schema
	own    *schema
	ref    int
	parent []int
}

func joinLead(own *schema, ref string) *joinedSchema {
	cols := append([]column(nil), own.cols...)
	var parent []int
	for _, p := range parentFields {
		i := leadSchema.must(p.from)
		cols = append(cols, column{name: p.as, kind: leadSchema.cols[i].kind, readOnly: true})
		parent = append(parent, i)
	}
	return &joinedSchema{newSchema(own.entity, own.cols[own.id].name, cols), own, own.must(ref), parent}
}

var (
	oppView      = joinLead(oppSchema, "RelatedProspectId")
	activityView = joinLead(activitySchema, "RelatedProspectId")
	taskView     = joinLead(taskSchema, "RelatedEntityId")
)

// join makes the wide copies of records; without a parent the copies are null.
func (j *joinedSchema) join(leads *table, rows []*record) []*record {
	out := make([]*record, len(rows))
	for n, r := range rows {
		wide := j.blank()
		copy(wide.cells, r.cells)
		if lead, ok := leads.lookup(r.at(j.ref)); ok {
			for k, i := range j.parent {
				wide.cells[len(j.own.cols)+k] = lead.cells[i]
			}
		}
		out[n] = wide
	}
	return out
}
