// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import "strconv"

// eventType is a kind of activity or opportunity.
type eventType struct {
	Code    int
	Name    string
	Type    string // Inbound, Outbound or Custom; Opportunity for opportunities
	Score   int
	IsEmail bool
	Fields  []fieldDef
}

// fieldDef describes one field of an event type.
type fieldDef struct {
	Schema    string
	Name      string
	DataType  string
	Mandatory bool
	Options   string // JSON in a string, or empty
}

// Codes of the event types the seed uses.
const (
	eventLeadCapture   = 14
	eventInboundCall   = 21
	eventOutboundCall  = 22
	eventPageSubmitted = 23
	eventSale          = 30
	eventEmailSent     = 40
	eventDemo          = 201
	eventVisit         = 202
	eventDocument      = 203
	oppLoan            = 12000
	oppInsurance       = 12005
)

func seedTypes() []*eventType {
	return []*eventType{
		{eventLeadCapture, "Lead Capture", "Inbound", 5, false, []fieldDef{
			{"mx_Custom_1", "Form Name", "String", false, ""},
			{"mx_Custom_2", "Phone Number", "Phone", false, ""},
			{"mx_Custom_3", "Email Address", "Email", false, ""},
		}},
		{eventInboundCall, "Inbound Phone Call Activity", "Inbound", 10, false, callFields},
		{eventOutboundCall, "Outbound Phone Call Activity", "Outbound", 5, false, callFields},
		{eventPageSubmitted, "Form Submitted on Landing Page", "Inbound", 15, false, []fieldDef{
			{"mx_Custom_1", "Landing Page", "String", false, ""},
			{"mx_Custom_2", "Phone Number", "Phone", false, ""},
			{"mx_Custom_3", "Email Address", "Email", false, ""},
		}},
		{eventSale, "Sales Activity", "Custom", 50, false, []fieldDef{
			{"mx_Custom_1", "Product", "String", true, ""},
			{"mx_Custom_2", "Order Value", "Number", true, ""},
		}},
		{eventEmailSent, "Email Sent", "Outbound", 1, true, []fieldDef{
			{"mx_Custom_1", "Subject", "String", false, ""},
			{"mx_Custom_2", "Sent To", "Email", false, ""},
		}},
		{eventDemo, "Product Demo", "Custom", 20, false, []fieldDef{
			{"mx_Custom_1", "Product", "Dropdown", true, `["Home Loan","Car Loan","Gold Loan","Term Insurance"]`},
			{"mx_Custom_2", "Outcome", "Dropdown", false, `["Interested","Follow Up","Not Interested"]`},
			{"mx_Custom_3", "Remarks", "String", false, ""},
		}},
		{eventVisit, "Field Visit", "Custom", 25, false, []fieldDef{
			{"mx_Custom_1", "Place", "String", true, ""},
			{"mx_Custom_2", "Outcome", "Dropdown", false, `["Met","Not Available"]`},
		}},
		{eventDocument, "Document Collected", "Custom", 10, false, []fieldDef{
			{"mx_Custom_1", "Document Type", "Dropdown", true, `["PAN","Aadhaar","Salary Slip"]`},
			{"mx_Custom_2", "File", "CustomObject", false, ""},
		}},
		{oppLoan, "Loan Application", "Opportunity", 0, false, oppFields},
		{oppInsurance, "Insurance Policy", "Opportunity", 0, false, oppFields},
	}
}

var callFields = []fieldDef{
	{"mx_Custom_1", "Call Status", "Dropdown", true, `["Answered","Missed","Busy"]`},
	{"mx_Custom_2", "Duration", "Number", false, ""},
	{"mx_Custom_3", "Recording", "Website", false, ""},
}

var oppFields = []fieldDef{
	{"mx_Custom_1", "Opportunity Name", "String", true, ""},
	{"mx_Custom_2", "Status", "Dropdown", true, `["Open","Won","Lost"]`},
	{"mx_Custom_3", "Stage", "Dropdown", false, `["Prospecting","Documents","Underwriting","Sanctioned"]`},
	{"mx_Custom_4", "Expected Amount", "Number", false, ""},
	{"mx_Custom_5", "Expected Closing", "Date", false, ""},
	{"mx_Custom_6", "Probability", "Number", false, ""},
	{"mx_Custom_7", "Product", "String", false, ""},
	{"mx_Custom_8", "Partner Remarks", "String", false, ""},
	{"mx_Custom_19", "Comment", "String", false, ""},
}

func (c *CRM) eventType(code string) (*eventType, bool) {
	n, err := strconv.Atoi(code)
	if err != nil {
		return nil, false
	}
	for _, t := range c.types {
		if t.Code == n {
			return t, true
		}
	}
	return nil, false
}

func isOpportunity(code int) bool { return code >= 12000 && code < 13000 }
