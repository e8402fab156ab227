// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import "net/http"

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes is the whole interface. docs/demo-crm.md is held to it by a test.
func (c *CRM) routes() []route {
	return append(append(append(leadRoutes(), otherRoutes()...), accountRoutes()...), c.appRoutes()...)
}

func leadRoutes() []route {
	const s = "/v2/LeadManagement.svc/"
	return []route{
		{method: get, path: "/v2/Authentication.svc/UserByAccessKey.Get", read: whoHasKey},
		{method: get, path: s + "LeadsMetaData.Get", read: leadMetadata},
		{method: get, path: s + "Leads.GetById", read: getLeadByID},
		{method: get, path: s + "Leads.GetByEmailaddress", read: getLeadByEmail},
		{method: get, path: s + "RetrieveLeadByPhoneNumber", read: getLeadByPhone},
		{method: get, path: s + "Leads.GetByQuickSearch", read: quickSearch},
		{method: post, path: s + "Leads.Get", read: searchLeads},
		{method: post, path: s + "Leads.RecentlyModified", read: recentLeads},
		{method: post, path: s + "Leads/Retrieve/ByIds", read: leadsByIDs},
		{method: post, path: s + "Leads/Retrieve/BySearchParameter", read: searchLeadsAdvanced},
		{method: post, path: s + "Lead.Create", write: createLead},
		{method: post, path: s + "Lead.Update", write: updateLead},
		{method: post, path: s + "Lead.CreateOrUpdate", write: upsertLead},
		{method: post, path: s + "Lead.Capture", write: captureLead},
		{method: post, path: s + "Lead.Convert", write: convertLead},
		{method: post, path: s + "Lead/Bulk/Create", write: bulkCreate},
		{method: post, path: s + "Lead/Bulk/CreateOrUpdate", write: bulkUpsert},
		{method: post, path: s + "Lead/Bulk/Update", write: bulkUpdate},
		{method: post, path: s + "Lead/Bulk/UpdateV2", write: bulkUpdate},
		{method: get, path: s + "Lead/Delete/ById", write: deleteLead},
		{method: get, path: s + "RetrieveTaskByLeadId", read: tasksByLead},
		{method: get, path: s + "LeadOwner.Get", read: leadOwner},
		{method: get, path: s + "RetrieveNote", read: leadNotes},
		{method: get, path: s + "Lists.Get", read: leadLists},
	}
}

func otherRoutes() []route {
	const a, t, o = "/v2/ProspectActivity.svc/", "/v2/Task.svc/", "/v2/OpportunityManagement.svc/"
	return []route{
		{method: post, path: a + "Create", write: createActivity},
		{method: post, path: a + "CustomActivity/Update", write: updateActivity},
		{method: post, path: a + "Retrieve", read: retrieveActivities},
		{method: post, path: a + "CustomActivity/RetrieveByActivityEvent", read: activitiesByEvent},
		{method: post, path: a + "RetrieveRecentlyModified", read: recentActivities},
		{method: get, path: a + "GetActivityDetails", read: activityDetails},
		{method: post, path: a + "RetrieveActivityChange", read: activityChanges},
		{method: post, path: a + "GetLeadReferences", read: leadReferences},
		{method: post, path: a + "DeleteActivities", write: deleteActivities},
		{method: get, path: a + "ActivityTypes.Get", read: activityTypes},
		{method: post, path: a + "CreateType", write: createActivityType},

		{method: post, path: t + "Create", write: createTask, soft: true},
		{method: post, path: t + "Update", write: updateTask, soft: true},
		{method: post, path: t + "Bulk/Create", write: bulkCreateTasks, soft: true},
		{method: get, path: t + "MarkComplete", write: markComplete, soft: true},
		{method: post, path: t + "Retrieve", read: retrieveTasks, soft: true},
		{method: post, path: t + "RetrieveToDos/ByUserId", read: todosByUser, soft: true},
		{method: get, path: t + "RetrieveTaskType", read: taskTypes, soft: true},
		{method: post, path: t + "DeleteTasks", write: deleteTasks, soft: true},

		{method: post, path: o + "Capture", write: captureOpportunity},
		{method: post, path: o + "Update", write: updateOpportunity},
		{method: get, path: o + "Delete", write: deleteOpportunity},
		{method: post, path: o + "GetOpportunitiesOfLead", read: opportunitiesOfLead},
		{method: post, path: o + "GetOpportunitiesByUniqueLeadField", read: opportunitiesByLeadField},
		{method: get, path: o + "GetOpportunityDetails", read: opportunityDetails},
		{method: post, path: o + "GetOpportunitiesById", read: opportunitiesByIDs},
		{method: post, path: o + "Retrieve/BySearchParameter", read: searchOpportunities},

		{method: post, path: "/lead/create", write: async(createLead), access: withAPIKey},
		{method: post, path: "/lead/update", write: async(updateLead), access: withAPIKey},
		{method: post, path: "/lead/createorupdate", write: async(upsertLead), access: withAPIKey},
		{method: post, path: "/lead/capture", write: async(captureLead), access: withAPIKey},
		{method: post, path: "/opportunity/capture", write: async(captureOpportunity), access: withAPIKey},
		{method: post, path: "/opportunity/update", write: async(updateOpportunity), access: withAPIKey},
		{method: get, path: "/status", read: asyncStatus, access: onlyAPIKey},
	}
}

func accountRoutes() []route {
	const co, u, g, p = "/v2/CompanyManagement.svc/", "/v2/UserManagement.svc/", "/v2/UserGroup.svc/", "/v2/PermissionTemplate.svc/"
	const s, m = "/v2/SalesActivity.svc/", "/v2/EmailMarketing.svc/"
	return []route{
		{method: post, path: co + "Company.Create", write: createCompany},
		{method: post, path: co + "Company.Update", write: updateCompany},
		{method: post, path: co + "Company.Get", read: getCompanies},
		{method: post, path: co + "Company/Bulk/CreateOrUpdate", write: bulkUpsertCompanies},
		{method: get, path: co + "Company.Delete", write: deleteCompany},
		{method: get, path: "/v2/CompanyActivity.svc/RetrieveById", read: companyActivity},

		{method: get, path: u + "Users.Get", read: listUsers},
		{method: get, path: u + "User/Retrieve/ByUserId", read: userByID},
		{method: get, path: u + "User/Retrieve/ByEmailAddress", read: userByEmail},
		{method: post, path: u + "User/AdvancedSearch", read: searchUsers},
		{method: post, path: u + "User/Create", write: createUser},
		{method: post, path: u + "User/Update", write: updateUser},
		{method: get, path: u + "ReportingHierarchy/RetrieveAllReportingUsers", read: reportingUsers},

		{method: get, path: g + "Retrieve", read: listGroups},
		{method: post, path: g + "AddUsers", write: addUsersToGroup},

		{method: post, path: p + "Create", write: createTemplate},
		{method: post, path: p + "Update", write: updateTemplate},
		{method: post, path: p + "Retrieve", read: retrieveTemplates},
		{method: post, path: p + "Apply", write: applyTemplate},
		{method: post, path: p + "OverridePermissionTemplate", write: overrideTemplate},

		{method: post, path: s + "Create", write: createSale},
		{method: post, path: s + "Update", write: updateSale},
		{method: post, path: s + "Cancel", write: cancelSale},
		{method: get, path: s + "RetrieveActivity", read: retrieveSales},
		{method: post, path: s + "CreateProduct", write: createProduct},
		{method: get, path: s + "DeleteProduct", write: deleteProduct},

		{method: post, path: m + "SendEmailToLead", write: sendToLead},
		{method: post, path: m + "ScheduleEmailToLead", write: sendToLead},
		{method: post, path: m + "SendMail", write: sendMail},
	}
}

func (c *CRM) appRoutes() []route {
	return []route{
		{method: get, path: "/{$}", raw: c.home, access: open},
		{method: get, path: "/app/leads", raw: c.shell("Leads", "leads.js"), access: open},
		{method: get, path: "/app/leads/{id}", raw: c.shell("Lead", "lead.js"), access: open},
		{method: get, path: "/app/reports", raw: c.shell("Reports", "reports.js"), access: open},
		{method: get, path: "/app/dashboard", raw: c.shell("Dashboard", "dashboard.js"), access: open},
		{method: get, path: "/app/tasks", raw: c.shell("Tasks", "tasks.js"), access: open},
		{method: get, path: "/app/static/{file...}", raw: c.static, access: open},
		{method: get, path: "/app/favicon.ico", raw: c.favicon, access: open},

		{method: get, path: "/app/api/me", read: appMe},
		{method: get, path: "/app/api/leads", read: forApp(appLeads)},
		{method: get, path: "/app/api/leads/{id}", read: forApp(appLead)},
		{method: post, path: "/app/api/leads/{id}", write: forApp(appPatchLead)},
		{method: get, path: "/app/api/leads/{id}/activities", read: forApp(appActivities)},
		{method: get, path: "/app/api/leads/{id}/opportunities", read: forApp(appOpportunities)},
		{method: get, path: "/app/api/leads/{id}/tasks", read: forApp(appTasks)},
		{method: get, path: "/app/api/users", read: listUsers},
		{method: get, path: "/app/api/events", raw: c.events},
		{method: get, path: "/app/api/ping", read: appPing},
		{method: get, path: "/app/api/report/stage-counts", read: appStageCounts},
		{method: get, path: "/app/socket", raw: c.socket},
		{method: get, path: "/app/print/leads/{id}", raw: c.printLead},
		{method: get, path: "/app/export/leads.csv", raw: c.exportLeads},

		{method: post, path: "/mobile/v1/sync/pull", read: forApp(pull)},
		{method: post, path: "/mobile/v1/sync/push", write: forApp(push)},
		{method: post, path: "/mobile/v1/checkin", write: checkInOut("checkin")},
		{method: post, path: "/mobile/v1/checkout", write: checkInOut("checkout")},
		{method: post, path: "/mobile/v1/location", write: location},
		{method: post, path: "/mobile/v1/recordings", raw: c.uploadRecording},
		{method: get, path: "/mobile/v1/recordings/{id}", raw: c.downloadRecording},
		{method: get, path: "/mobile/v1/settings", read: mobileSettings},
	}
}
