// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

// bulkRow is the outcome of one lead of a bulk call.
type bulkRow struct {
	RowNumber    int
	LeadId       string
	LeadCreated  bool
	LeadUpdated  bool
	AffectedRows int
	ErrorMessage string
}

func bulkPairs(q *call, limit int) ([][]pair, error) {
	var rows [][]pair
	if err := decode(q.body, &rows); err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows) > limit {
		return nil, fail("InvalidInput", "this call takes 1 to %d leads", limit)
	}
	return rows, nil
}

// bulkCreate makes up to 50 leads; each row stands or falls alone.
func bulkCreate(c *CRM, q *call) (any, error) {
	rows, err := bulkPairs(q, 50)
	if err != nil {
		return nil, err
	}
	out := make([]bulkRow, 0, len(rows))
	for i, pairs := range rows {
		r, err := c.createLead(q.user, q.now, "", pairs)
		out = append(out, bulkOutcome(i, r, true, err))
	}
	return out, nil
}

// bulkUpsert makes or changes up to 25 leads.
func bulkUpsert(c *CRM, q *call) (any, error) {
	rows, err := bulkPairs(q, 25)
	if err != nil {
		return nil, err
	}
	out := make([]bulkRow, 0, len(rows))
	for i, pairs := range rows {
		r, created, err := c.upsertLead(q.user, q.now, pairs, updateAll)
		out = append(out, bulkOutcome(i, r, created, err))
	}
	return out, nil
}

func bulkOutcome(i int, r *record, created bool, err error) bulkRow {
	row := bulkRow{RowNumber: i + 1}
	if err != nil {
		row.ErrorMessage = err.Error()
		return row
	}
	row.LeadId = leadSchema.idOf(r)
	row.LeadCreated, row.LeadUpdated, row.AffectedRows = created, !created, 1
	return row
}

// bulkUpdate sets one field of up to 50 leads; all or none.
func bulkUpdate(c *CRM, q *call) (any, error) {
	var body struct {
		LeadIds    []string
		LeadFields pair
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if len(body.LeadIds) == 0 || len(body.LeadIds) > 50 {
		return nil, fail("InvalidInput", "'LeadIds' takes 1 to 50 ids")
	}
	var changed []*record
	seen := map[string]bool{}
	for _, id := range body.LeadIds {
		old, err := c.mustLead(id)
		if err != nil {
			return nil, err
		}
		if seen[leadSchema.idOf(old)] {
			continue
		}
		seen[leadSchema.idOf(old)] = true
		r := old.clone()
		if err := c.applyPairs(leadSchema, r, []pair{body.LeadFields}, updateAll); err != nil {
			return nil, err
		}
		if err := c.checkUnique(r, old); err != nil {
			return nil, err
		}
		stampChange(leadSchema, r, q.user, q.now)
		changed = append(changed, r)
	}
	if len(changed) > 1 && isUnique(body.LeadFields.name()) {
		return nil, fail("DuplicateEntry", "%s must differ between leads", body.LeadFields.name())
	}
	for _, r := range changed {
		c.leads.replace(r)
	}
	return okayRows(len(changed)), nil
}
