// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

// Headings of the lead page.
const (
	headContact   = "Contact"
	headPersonal  = "Personal"
	headFinance   = "Finance"
	headSource    = "Source"
	headOwnership = "Ownership"
	headSystem    = "System"
)

// leadSchema is every field of a lead, in the order answers carry them.
var leadSchema = newSchema("Lead", "ProspectID", []column{
	{name: "ProspectID", label: "Lead ID", readOnly: true, group: headSystem},
	{name: "ProspectAutoId", label: "Lead Number", kind: number, readOnly: true, group: headSystem},
	{name: "FirstName", label: "First Name", group: headContact},
	{name: "LastName", label: "Last Name", group: headContact},
	{name: "EmailAddress", label: "Email Address", group: headContact},
	{name: "Phone", label: "Phone Number", group: headContact},
	{name: "Mobile", label: "Mobile Number", group: headContact},
	{name: "mx_Phone_2", label: "Alternate Phone", group: headContact},
	{name: "mx_Secondary_Email", label: "Secondary Email", group: headContact},
	{name: "Company", label: "Company", group: headContact},
	{name: "JobTitle", label: "Job Title", group: headContact},
	{name: "Website", label: "Website", group: headContact},
	{name: "ProspectStage", label: "Lead Stage", group: headOwnership},
	{name: "OwnerId", label: "Owner ID", group: headOwnership},
	{name: "OwnerIdName", label: "Owner", readOnly: true, group: headOwnership},
	{name: "OwnerIdEmailAddress", label: "Owner Email", readOnly: true, group: headOwnership},
	{name: "Source", label: "Lead Source", group: headSource},
	{name: "SourceMedium", label: "Source Medium", group: headSource},
	{name: "SourceCampaign", label: "Source Campaign", group: headSource},
	{name: "SourceContent", label: "Source Content", group: headSource},
	{name: "SourceReferrerURL", label: "Source Referrer", group: headSource},
	{name: "SourceIPAddress", label: "Source IP Address", group: headSource},
	{name: "Origin", label: "Lead Origin", readOnly: true, group: headSource},
	{name: "ConversionReferrerURL", label: "Conversion Referrer", group: headSource},
	{name: "Score", label: "Lead Score", kind: number, group: headSystem},
	{name: "EngagementScore", label: "Engagement Score", kind: number, readOnly: true, group: headSystem},
	{name: "QualityScore01", label: "Lead Quality", kind: number, readOnly: true, group: headSystem},
	{name: "LeadAge", label: "Lead Age", kind: number, readOnly: true, group: headSystem},
	{name: "LeadType", label: "Lead Type", group: headSystem},
	{name: "Revenue", label: "Revenue", kind: number, group: headFinance},
	{name: "ProspectActivityName_Max", label: "Last Activity", readOnly: true, group: headSystem},
	{name: "ProspectActivityDate_Max", label: "Last Activity Date", kind: date, readOnly: true, group: headSystem},
	{name: "CreatedOn", label: "Created On", kind: date, readOnly: true, group: headSystem},
	{name: "CreatedBy", label: "Created By ID", readOnly: true, group: headSystem},
	{name: "CreatedByName", label: "Created By", readOnly: true, group: headSystem},
	{name: "ModifiedOn", label: "Modified On", kind: date, readOnly: true, group: headSystem},
	{name: "ModifiedBy", label: "Modified By ID", readOnly: true, group: headSystem},
	{name: "ModifiedByName", label: "Modified By", readOnly: true, group: headSystem},
	{name: "LeadLastModifiedOn", label: "Lead Last Modified On", kind: date, readOnly: true, group: headSystem},
	{name: "LeadConversionDate", label: "Conversion Date", kind: date, readOnly: true, group: headSystem},
	{name: "StageRottingFlagStatus", label: "Stage Rotting", readOnly: true, group: headSystem},
	{name: "StageRottingFlagMessage", label: "Stage Rotting Message", readOnly: true, group: headSystem},
	{name: "StageRottingFlagModifiedOn", label: "Stage Rotting Since", kind: date, readOnly: true, group: headSystem},
	{name: "DoNotEmail", label: "Do Not Email", group: headContact},
	{name: "DoNotCall", label: "Do Not Call", group: headContact},
	{name: "DoNotTrack", label: "Do Not Track", group: headContact},
	{name: "TimeZone", label: "Time Zone", group: headPersonal},
	{name: "Notes", label: "Notes", group: headPersonal},
	{name: "RelatedCompanyId", label: "Account ID", group: headOwnership},
	{name: "mx_Date_of_Birth", label: "Date of Birth", kind: date, group: headPersonal},
	{name: "mx_Gender", label: "Gender", group: headPersonal},
	{name: "mx_Preferred_Language", label: "Preferred Language", group: headPersonal},
	{name: "mx_Occupation", label: "Occupation", group: headPersonal},
	{name: "mx_Street1", label: "Street", group: headPersonal},
	{name: "mx_City", label: "City", group: headPersonal},
	{name: "mx_State", label: "State", group: headPersonal},
	{name: "mx_Zip", label: "PIN Code", group: headPersonal},
	{name: "mx_Country", label: "Country", group: headPersonal},
	{name: "mx_PAN_Number", label: "PAN Number", group: headFinance},
	{name: "mx_Aadhaar", label: "Aadhaar", group: headFinance},
	{name: "mx_Annual_Income", label: "Annual Income", kind: number, group: headFinance},
	{name: "mx_Loan_Amount", label: "Loan Amount", kind: number, group: headFinance},
	{name: "mx_Product", label: "Product", group: headFinance},
	{name: "mx_Branch", label: "Branch", group: headOwnership},
	{name: "mx_KYC", label: "KYC", group: headFinance},
})

var stages = []string{"New", "Contacted", "Qualified", "Documents Pending", "Proposal Sent", "Negotiation", "Customer", "Lost"}
