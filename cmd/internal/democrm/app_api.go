// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The web UI's own API. Its logical errors are 400, not 500.

const maxAppPage = 200

// forApp gives an endpoint's logical errors the status a browser expects.
func forApp(e endpoint) endpoint {
	return func(c *CRM, q *call) (any, error) {
		answer, err := e(c, q)
		if refusal := (*apiError)(nil); errors.As(err, &refusal) && refusal.status == http.StatusInternalServerError {
			return nil, &apiError{http.StatusBadRequest, refusal.kind, refusal.message}
		}
		return answer, err
	}
}

func appMe(c *CRM, q *call) (any, error) {
	return struct{ ID, Name, EmailAddress, Role string }{q.user.id, q.user.name(), q.user.email, q.user.role}, nil
}

// appLeads lists leads: page, size (at most 200), sort, dir (asc or desc), q
// (quick search), owner and stage (comma lists).
func appLeads(c *CRM, q *call) (any, error) {
	match, err := appFilter(q)
	if err != nil {
		return nil, err
	}
	order := sorting{q.query("sort"), scalar(q.query("dir"))}
	if order.ColumnName == "" {
		order = sorting{"ModifiedOn", "desc"}
	}
	p := paging{PageIndex: scalar(q.query("page")), PageSize: scalar(q.query("size"))}
	rows, cols, n, err := selectRows(leadSchema, c.leads.rows, match, columns{}, order, p, maxAppPage)
	if err != nil {
		return nil, err
	}
	return leadList{n, flats(leadSchema, cols, rows)}, nil
}

func appFilter(q *call) (func(*record) bool, error) {
	var tests []func(*record) bool
	for _, f := range []struct{ param, column string }{{"owner", "OwnerId"}, {"stage", "ProspectStage"}} {
		list := strings.TrimSpace(q.query(f.param))
		if list == "" {
			continue
		}
		t := listTest(text, list, false)
		i := leadSchema.must(f.column)
		tests = append(tests, func(r *record) bool { return t(r.cells[i]) })
	}
	if key := strings.TrimSpace(q.query("q")); key != "" {
		tests = append(tests, quickMatch(key))
	}
	return func(r *record) bool {
		for _, t := range tests {
			if !t(r) {
				return false
			}
		}
		return true
	}, nil
}

func (c *CRM) appLead(q *call) (*record, error) {
	r, ok := c.leads.lookup(q.capture("id"))
	if !ok {
		return nil, notFound("Lead")
	}
	return r, nil
}

func appLead(c *CRM, q *call) (any, error) {
	r, err := c.appLead(q)
	if err != nil {
		return nil, err
	}
	return flat{leadSchema, leadSchema.all, r}, nil
}

// appPatchLead takes an object of lead fields and answers the changed lead.
func appPatchLead(c *CRM, q *call) (any, error) {
	old, err := c.appLead(q)
	if err != nil {
		return nil, err
	}
	pairs, err := objectPairs(q.body)
	if err != nil {
		return nil, err
	}
	r, err := c.updateLead(q.user, q.now, old, pairs, updateAll)
	if err != nil {
		return nil, err
	}
	return flat{leadSchema, leadSchema.all, r}, nil
}

// objectPairs reads {"Phone":"..","Notes":null} in the order it was written.
func objectPairs(body []byte) ([]pair, error) {
	if jsontext.Value(body).Kind() != '{' {
		return nil, badRequest("an object of fields was expected")
	}
	fields := map[string]*scalar{}
	if err := decode(body, &fields); err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, badRequest("an object of fields was expected")
	}
	pairs := make([]pair, 0, len(fields))
	for name, v := range fields {
		pairs = append(pairs, pair{Attribute: name, Value: v})
	}
	return pairs, nil
}

func appActivities(c *CRM, q *call) (any, error) {
	r, err := c.appLead(q)
	if err != nil {
		return nil, err
	}
	rows := c.activitiesOf(leadSchema.idOf(r))
	return c.activityList(rows, len(rows)), nil
}

func appOpportunities(c *CRM, q *call) (any, error) {
	r, err := c.appLead(q)
	if err != nil {
		return nil, err
	}
	rows := c.oppsOf(leadSchema.idOf(r))
	return rowList{len(rows), flats(oppView.schema, oppView.all, rows)}, nil
}

func appTasks(c *CRM, q *call) (any, error) {
	r, err := c.appLead(q)
	if err != nil {
		return nil, err
	}
	return c.tasksOf(leadSchema.idOf(r)), nil
}

func appPing(c *CRM, q *call) (any, error) {
	return struct {
		OK bool `json:"ok"`
	}{true}, nil
}

// stageCount is one bar of the stage report.
type stageCount struct {
	Stage string
	Count int
}

func (c *CRM) stageCounts() []stageCount {
	counts := map[string]int{}
	for _, r := range c.leads.rows {
		counts[leadSchema.get(r, "ProspectStage")]++
	}
	out := []stageCount{}
	for _, s := range stages {
		out = append(out, stageCount{s, counts[s]})
	}
	return out
}

func appStageCounts(c *CRM, q *call) (any, error) {
	return struct{ Stages []stageCount }{c.stageCounts()}, nil
}
