// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

// The task family answers its logical errors inside HTTP 200.

var taskStatus = []string{"Pending", "Completed", "Cancelled"}

// taskList is the RJ family.
type taskList struct {
	RecordCount int
	TaskList    []taskItem
}

type taskItem struct {
	TaskID        string
	Name          string
	Description   *string
	DueDate       string
	CreatedOn     string
	OwnerID       string
	OwnerName     string
	CreatedBy     string
	CreatedByName string
	Status        string
	Reminder      string
}

func taskStatusName(code string) string {
	if n := atoi(code); n >= 0 && n < len(taskStatus) {
		return taskStatus[n]
	}
	return taskStatus[0]
}

func (c *CRM) tasksOf(leadID string) taskList {
	rows := where(c.tasks.rows, func(r *record) bool { return taskSchema.get(r, "RelatedEntityId") == leadID })
	sortBy(taskSchema, rows, taskSchema.must("DueDate"), false)
	out := taskList{len(rows), make([]taskItem, 0, len(rows))}
	for _, r := range rows {
		get := func(name string) string { return taskSchema.get(r, name) }
		out.TaskList = append(out.TaskList, taskItem{
			get("UserTaskId"), get("Name"), r.cells[taskSchema.must("Description")], get("DueDate"), get("CreatedOn"),
			get("OwnerId"), get("OwnerName"), get("CreatedBy"), get("CreatedByName"),
			taskStatusName(get("StatusCode")), get("Reminder"),
		})
	}
	return out
}

func tasksByLead(c *CRM, q *call) (any, error) {
	lead, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	return c.tasksOf(leadSchema.idOf(lead)), nil
}

// taskWrite is the body of a new task and of a change to one; a nil member
// leaves what was there.
type taskWrite struct {
	UserTaskId         string
	Name               *scalar
	Description        *scalar
	RelatedEntity      *scalar
	RelatedEntityId    *scalar
	DueDate            *scalar
	EndDate            *scalar
	Reminder           *scalar
	ReminderBeforeDays *scalar
	ReminderTime       *scalar
	NotifyBy           *scalar
	OwnerId            *scalar
	OwnerEmailAddress  *scalar
	StatusCode         *scalar
	TaskType           *struct{ Name string }
	CustomFields       map[string]scalar
}

func (c *CRM) applyTask(r *record, b taskWrite) error {
	pairs := []pair{}
	add := func(name string, v *scalar) {
		if v != nil {
			pairs = append(pairs, pair{Attribute: name, Value: v})
		}
	}
	add("Name", b.Name)
	add("Description", b.Description)
	add("DueDate", b.DueDate)
	add("EndDate", b.EndDate)
	add("Reminder", b.Reminder)
	add("NotifyBy", b.NotifyBy)
	add("StatusCode", b.StatusCode)
	if b.OwnerEmailAddress != nil {
		u, ok := c.userByEmail(string(*b.OwnerEmailAddress))
		if !ok {
			return fail("InvalidInput", "no user has the address given as OwnerEmailAddress")
		}
		id := scalar(u.id)
		b.OwnerId = &id
	}
	add("OwnerId", b.OwnerId)
	if b.TaskType != nil {
		if !slices.Contains(taskTypeNames, b.TaskType.Name) {
			return fail("InvalidInput", "no task type has the name %q", b.TaskType.Name)
		}
		name := scalar(b.TaskType.Name)
		add("TaskType", &name)
	}
	for name, v := range b.CustomFields {
		add(name, &v)
	}
	if b.StatusCode != nil && !slices.Contains([]scalar{"0", "1", "2"}, *b.StatusCode) {
		return fail("InvalidInput", "'StatusCode' must be 0 (pending), 1 (completed) or 2 (cancelled)")
	}
	return c.applyPairs(taskSchema, r, pairs, updateAll)
}

func (c *CRM) createTask(q *call, b taskWrite) (*record, error) {
	if b.Name == nil || strings.TrimSpace(string(*b.Name)) == "" {
		return nil, fail("MandatoryAttributeMissing", "'Name' is mandatory")
	}
	r := taskSchema.blank()
	taskSchema.set(r, "UserTaskId", c.newID())
	taskSchema.set(r, "TaskType", taskTypeNames[0])
	taskSchema.set(r, "StatusCode", "0")
	taskSchema.set(r, "Reminder", "0")
	taskSchema.set(r, "DueDate", formatTime(q.now.AddDate(0, 0, 1)))
	taskSchema.set(r, "RelatedEntity", "0")
	c.stampOwner(taskSchema, r, q.user)
	if b.RelatedEntityId != nil && *b.RelatedEntityId != "" {
		kind := scalar("1")
		if b.RelatedEntity != nil {
			kind = *b.RelatedEntity
		}
		id, err := c.relatedEntity(kind, string(*b.RelatedEntityId))
		if err != nil {
			return nil, err
		}
		taskSchema.set(r, "RelatedEntity", string(kind))
		taskSchema.set(r, "RelatedEntityId", id)
	}
	if err := c.applyTask(r, b); err != nil {
		return nil, err
	}
	stampNew(taskSchema, r, q.user, q.now)
	c.tasks.insert(r)
	return r, nil
}

// relatedEntity finds what a task belongs to: 1 a lead, 5 an opportunity.
func (c *CRM) relatedEntity(kind scalar, id string) (string, error) {
	switch kind {
	case "1":
		r, err := c.mustLead(id)
		if err != nil {
			return "", err
		}
		return leadSchema.idOf(r), nil
	case "5":
		r, ok := c.opps.lookup(id)
		if !ok {
			return "", fail("InvalidInput", "Opportunity not found")
		}
		return oppSchema.idOf(r), nil
	}
	return "", fail("InvalidInput", "'RelatedEntity' must be 1 (lead) or 5 (opportunity)")
}

func createTask(c *CRM, q *call) (any, error) {
	var b taskWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	r, err := c.createTask(q, b)
	if err != nil {
		return nil, err
	}
	return okayID(taskSchema.idOf(r)), nil
}

func bulkCreateTasks(c *CRM, q *call) (any, error) {
	var body struct {
		TaskList         []taskWrite
		StatusWebhookURL string // accepted and not called
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if len(body.TaskList) == 0 || len(body.TaskList) > 50 {
		return nil, fail("InvalidInput", "'TaskList' takes 1 to 50 tasks")
	}
	n := 0
	for _, b := range body.TaskList {
		if _, err := c.createTask(q, b); err == nil {
			n++
		}
	}
	return okayRows(n), nil
}

func (c *CRM) mustTask(id string) (*record, error) {
	r, ok := c.tasks.lookup(id)
	if !ok {
		return nil, fail("InvalidInput", "Task not found")
	}
	return r, nil
}

func updateTask(c *CRM, q *call) (any, error) {
	var b taskWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	old, err := c.mustTask(b.UserTaskId)
	if err != nil {
		return nil, err
	}
	r := old.clone()
	if err := c.applyTask(r, b); err != nil {
		return nil, err
	}
	stampChange(taskSchema, r, q.user, q.now)
	c.tasks.replace(r)
	return okay(), nil
}

// markComplete is a GET that writes.
func markComplete(c *CRM, q *call) (any, error) {
	old, err := c.mustTask(q.query("id"))
	if err != nil {
		return nil, err
	}
	r := old.clone()
	taskSchema.set(r, "StatusCode", "1")
	taskSchema.set(r, "CompletedOn", formatTime(q.now))
	stampChange(taskSchema, r, q.user, q.now)
	c.tasks.replace(r)
	return okay(), nil
}

type taskQuery struct {
	Parameter struct {
		LookupName       string
		LookupValue      scalar
		SqlOperator      string
		FromDate, ToDate scalar
		StatusCode       scalar
		TypeName         scalar
	}
	Columns columns
	Sorting sorting
	Paging  paging
}

func (b taskQuery) test() (func(*record) bool, error) {
	tests := []func(*record) bool{}
	p := b.Parameter
	if p.LookupName != "" {
		t, err := lookup{p.LookupName, p.LookupValue, p.SqlOperator}.test(taskSchema)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	if p.FromDate != "" || p.ToDate != "" {
		t, err := period{FromDate: p.FromDate, ToDate: p.ToDate}.within(taskSchema, "DueDate")
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	if p.StatusCode != "" {
		tests = append(tests, func(r *record) bool { return taskSchema.get(r, "StatusCode") == string(p.StatusCode) })
	}
	if p.TypeName != "" {
		name, ok := taskTypeByID(string(p.TypeName))
		if !ok {
			return nil, fail("InvalidInput", "no task type has the id %q", string(p.TypeName))
		}
		tests = append(tests, func(r *record) bool { return taskSchema.get(r, "TaskType") == name })
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

func retrieveTasks(c *CRM, q *call) (any, error) {
	var body taskQuery
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	match, err := body.test()
	if err != nil {
		return nil, err
	}
	rows, cols, n, err := selectRows(taskSchema, c.tasks.rows, match, body.Columns, body.Sorting, body.Paging, maxEvents)
	if err != nil {
		return nil, err
	}
	return rowList{n, flats(taskSchema, cols, rows)}, nil
}

// todosByUser is RetrieveToDos/ByUserId: flat rows with copies of the lead.
func todosByUser(c *CRM, q *call) (any, error) {
	var body taskQuery
	if len(q.body) > 0 {
		if err := decode(q.body, &body); err != nil {
			return nil, err
		}
	}
	id := q.query("userId")
	if id == "" {
		id = q.user.id
	}
	if _, ok := c.userByID(id); !ok {
		return nil, fail("InvalidInput", "User not found")
	}
	match, err := body.test()
	if err != nil {
		return nil, err
	}
	rows := where(c.tasks.rows, func(r *record) bool {
		return strings.EqualFold(taskSchema.get(r, "OwnerId"), id) && match(r)
	})
	return flatList(taskView.schema, taskView.join(c.leads, rows), body.Columns, body.Sorting, body.Paging, maxEvents)
}

type taskType struct{ ID, Name, Category string }

func taskTypeByID(id string) (string, bool) {
	for i, name := range taskTypeNames {
		if id == "TT-"+itoa(i+1) || strings.EqualFold(id, name) {
			return name, true
		}
	}
	return "", false
}

func taskTypes(c *CRM, q *call) (any, error) {
	out := []taskType{}
	for i, name := range taskTypeNames {
		out = append(out, taskType{"TT-" + itoa(i+1), name, "Task"})
	}
	return out, nil
}

func deleteTasks(c *CRM, q *call) (any, error) {
	var body struct {
		TaskIds          []string
		StatusWebhookURL string // accepted and not called
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if len(body.TaskIds) == 0 || len(body.TaskIds) > 5000 {
		return nil, fail("InvalidInput", "'TaskIds' takes 1 to 5000 ids")
	}
	gone := map[string]bool{}
	for _, id := range body.TaskIds {
		gone[strings.ToLower(id)] = true
	}
	n := c.tasks.removeIf(func(r *record) bool { return gone[taskSchema.idOf(r)] })
	return struct {
		Status     string
		TasksCount int
	}{"Success", n}, nil
}
