// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"fmt"
	"strconv"
	"time"
)

// seedHistory makes the activities, opportunities and to-dos of a lead.
func (c *CRM) seedHistory(lead *record, owner *user, created time.Time, n int) {
	events := []int{
		eventLeadCapture, eventInboundCall, eventOutboundCall, eventPageSubmitted, eventEmailSent,
		eventDemo, eventVisit, eventDocument,
	}
	count := 1 + c.rng.IntN(4)
	if n == 1 {
		count = len(events)
	}
	at := created.Add(time.Minute)
	for i := range count {
		code := events[c.rng.IntN(len(events))]
		if n == 1 {
			code = events[i]
		} else if i == 0 {
			code = eventLeadCapture
		}
		a := c.seedActivity(lead, owner, code, at)
		name := ""
		if t, ok := c.eventType(strconv.Itoa(code)); ok {
			name = t.Name
		}
		leadSchema.set(lead, "ProspectActivityName_Max", name)
		leadSchema.set(lead, "ProspectActivityDate_Max", activitySchema.get(a, "CreatedOn"))
		at = at.Add(time.Duration(1+c.rng.IntN(72)) * time.Hour)
	}
	for i := 0; n == 1 && i < 2 || n != 1 && i == 0 && c.chance(30); i++ {
		c.seedOpportunity(lead, owner, created, n, i)
	}
	for i := 0; n == 1 && i < 2 || n != 1 && i == 0 && c.chance(40); i++ {
		c.seedTask(lead, owner, created, i)
	}
}

func (c *CRM) seedActivity(lead *record, owner *user, code int, at time.Time) *record {
	r := activitySchema.blank()
	set := func(name, value string) { activitySchema.set(r, name, value) }
	phone, email := leadSchema.get(lead, "Phone"), leadSchema.get(lead, "EmailAddress")
	set("ProspectActivityId", c.newID())
	set("RelatedProspectId", leadSchema.idOf(lead))
	set("ActivityEvent", strconv.Itoa(code))
	set("ActivityDateTime", formatTime(at))
	set("Status", "Active")
	set("OwnerId", owner.id)
	set("TrackLocation", "0")
	score := "0"
	if t, ok := c.eventType(strconv.Itoa(code)); ok {
		score = strconv.Itoa(t.Score)
	}
	set("ActivityScore", score)
	stampNew(activitySchema, r, owner, at)
	switch code {
	case eventInboundCall, eventOutboundCall:
		seconds := strconv.Itoa(20 + c.rng.IntN(600))
		recording := "https://recordings.example.com/" + c.hex(8) + ".mp3"
		from, to := phone, "+912240000000"
		if code == eventOutboundCall {
			from, to = to, from
		}
		set("mx_Custom_1", "Answered")
		set("mx_Custom_2", seconds)
		set("mx_Custom_3", recording)
		set("ActivityEvent_Note", callNote(owner.id, seconds, recording, from, to))
	case eventLeadCapture, eventPageSubmitted:
		set("mx_Custom_1", "Loan enquiry")
		set("mx_Custom_2", phone)
		set("mx_Custom_3", email)
		set("ActivityEvent_Note", "Loan enquiry form: Phone Number "+phone+", Email Address "+email)
	case eventEmailSent:
		set("mx_Custom_1", "Your enquiry")
		set("mx_Custom_2", email)
		set("ActivityEvent_Note", "Sent to "+email)
	case eventVisit:
		set("TrackLocation", "1")
		set("Latitude", fmt.Sprintf("19.%04d", c.rng.IntN(10000)))
		set("Longitude", fmt.Sprintf("72.%04d", c.rng.IntN(10000)))
		set("mx_Custom_1", leadSchema.get(lead, "mx_City"))
		set("mx_Custom_2", "Met")
		set("ActivityEvent_Note", "Visited at home.")
	case eventDemo:
		set("mx_Custom_1", "Home Loan")
		set("mx_Custom_2", c.pick([]string{"Interested", "Follow Up", "Not Interested"}))
		set("ActivityEvent_Note", "Showed the repayment calculator.")
	case eventDocument:
		set("mx_Custom_1", "Salary Slip")
		set("mx_Custom_2", `{"mx_CustomObject_1":"salary-slip.pdf"}`)
		set("ActivityEvent_Note", "Salary slip received.")
	}
	c.activities.insert(r)
	return r
}

// callNote writes a call the way telephony connectors of this CRM family do:
// parts between {next} and {=}, the numbers as JSON inside the last part.
func callNote(userID, seconds, recording, from, to string) string {
	return "{next}UserId{=}" + userID +
		"{next}Status{=}Answered{next}Duration{=}" + seconds +
		"{next}ResourceURL{=}" + recording +
		`{next}SourceData{=}{"SourceNumber":"` + from + `","DestinationNumber":"` + to + `"}`
}

func (c *CRM) seedOpportunity(lead *record, owner *user, created time.Time, n, i int) {
	r := oppSchema.blank()
	set := func(name, value string) { oppSchema.set(r, name, value) }
	id, code := c.newID(), oppLoan
	if n == 1 {
		id = fmt.Sprintf("00000000-0000-4000-8000-0000000000%02d", 11+i)
	}
	if n == 1 && i == 1 || n != 1 && c.chance(35) {
		code = oppInsurance
	}
	set("ProspectOpportunityId", id)
	set("RelatedProspectId", leadSchema.idOf(lead))
	set("OpportunityEvent", strconv.Itoa(code))
	product := leadSchema.get(lead, "mx_Product")
	set("mx_Custom_1", product+" for "+leadSchema.get(lead, "LastName"))
	set("mx_Custom_2", c.pick([]string{"Open", "Open", "Won", "Lost"}))
	set("mx_Custom_3", c.pick([]string{"Prospecting", "Documents", "Underwriting", "Sanctioned"}))
	set("mx_Custom_4", strconv.Itoa((1+c.rng.IntN(80))*50000))
	set("mx_Custom_5", formatTime(seedDay.AddDate(0, 0, c.rng.IntN(120)).Truncate(24*time.Hour)))
	set("mx_Custom_6", strconv.Itoa(c.rng.IntN(11)*10))
	set("mx_Custom_7", product)
	set("mx_Custom_8", "Ph: "+leadSchema.get(lead, "Phone")+" | CP Code: "+c.digits(4))
	set("mx_Custom_19", c.pick(noteTexts))
	set("OpportunityNote", "Opened from the enquiry.")
	c.stampOwner(oppSchema, r, owner)
	stampNew(oppSchema, r, owner, created.Add(48*time.Hour))
	c.opps.insert(r)
}

func (c *CRM) seedTask(lead *record, owner *user, created time.Time, i int) {
	r := taskSchema.blank()
	set := func(name, value string) { taskSchema.set(r, name, value) }
	set("UserTaskId", c.newID())
	set("Name", c.pick([]string{"Call back", "Collect documents", "Send proposal", "Branch visit"}))
	set("Description", c.pick(noteTexts))
	set("TaskType", c.pick(taskTypeNames))
	set("DueDate", formatTime(seedDay.AddDate(0, 0, c.rng.IntN(40)-10)))
	set("Reminder", "20")
	set("NotifyBy", "1100")
	set("RelatedEntity", "1")
	set("RelatedEntityId", leadSchema.idOf(lead))
	set("StatusCode", strconv.Itoa(btoi(i > 0 || c.chance(25))))
	if taskSchema.get(r, "StatusCode") == "1" {
		set("CompletedOn", formatTime(seedDay.AddDate(0, 0, -1)))
	}
	c.stampOwner(taskSchema, r, owner)
	stampNew(taskSchema, r, owner, created.Add(24*time.Hour))
	c.tasks.insert(r)
}

var taskTypeNames = []string{"Follow-Up", "Meeting", "Document Collection"}
