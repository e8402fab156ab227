// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// controls are attributes of a request that steer it and are no fields.
var controls = map[string]bool{"searchby": true, "postupdatedlead": true, "leadupdatebehavior": true}

// uniqueLeadFields may not repeat among leads; empty values may.
var uniqueLeadFields = []string{"EmailAddress", "Phone"}

// Ways an upsert may treat a lead that exists.
const (
	updateAll       = ""
	updateNothing   = "donotupdate"
	updateEmpty     = "updateonlyemptyfields"
	updateNotUnique = "donotupdateuniquefields"
)

// applyPairs puts pairs into r, which is not in a table yet. Unknown and
// read-only attributes are errors; nothing is applied by halves, since the
// caller drops r on error.
func (c *CRM) applyPairs(s *schema, r *record, pairs []pair, behavior string) error {
	for _, p := range pairs {
		name := p.name()
		if controls[strings.ToLower(name)] {
			continue
		}
		i, ok := s.find(name)
		if !ok {
			return unknownAttribute(s, name)
		}
		if i == s.id {
			continue
		}
		if s.cols[i].readOnly {
			return fail("InvalidInput", "attribute %q is set by the system", s.cols[i].name)
		}
		if behavior == updateEmpty && r.at(i) != "" || behavior == updateNotUnique && isUnique(s.cols[i].name) {
			continue
		}
		if err := c.applyCell(s, r, i, p.cell()); err != nil {
			return err
		}
	}
	return nil
}

func isUnique(name string) bool {
	return slices.Contains(uniqueLeadFields, name)
}

func (c *CRM) applyCell(s *schema, r *record, i int, value *string) error {
	col := s.cols[i]
	if col.name == "OwnerId" {
		if value == nil {
			return fail("InvalidInput", "a record cannot be without an owner")
		}
		u, ok := c.userByID(*value)
		if !ok {
			return fail("InvalidInput", "no user has the id given as OwnerId")
		}
		c.stampOwner(s, r, u)
		return nil
	}
	if value != nil && *value != "" {
		switch col.kind {
		case number:
			if _, err := strconv.ParseFloat(*value, 64); err != nil {
				return fail("InvalidInput", "attribute %q takes a number", col.name)
			}
		case date:
			t, ok := parseTime(*value)
			if !ok {
				return fail("InvalidInput", "attribute %q takes a date as YYYY-MM-DD HH:MM:SS", col.name)
			}
			form := formatTime(t)
			value = &form
		}
	}
	r.cells[i] = value
	return nil
}

// checkUnique refuses a lead whose unique values another lead has.
func (c *CRM) checkUnique(r, but *record) error {
	for _, name := range uniqueLeadFields {
		i := leadSchema.must(name)
		v := r.at(i)
		if v == "" {
			continue
		}
		for _, other := range c.leads.rows {
			if other != but && other.at(i) != "" && sameUnique(name, other.at(i), v) {
				return fail("DuplicateEntry", "A Lead with same %s already exists.", leadSchema.cols[i].label)
			}
		}
	}
	return nil
}

func sameUnique(name, a, b string) bool {
	if name == "Phone" {
		return lastDigits(a) == lastDigits(b) && lastDigits(a) != ""
	}
	return strings.EqualFold(a, b)
}

// createLead makes a lead of pairs; id may be empty.
func (c *CRM) createLead(u *user, now time.Time, id string, pairs []pair) (*record, error) {
	r := leadSchema.blank()
	if id == "" {
		id = c.newID()
	}
	leadSchema.set(r, "ProspectID", strings.ToLower(id))
	leadSchema.set(r, "ProspectStage", stages[0])
	leadSchema.set(r, "Origin", "API")
	leadSchema.set(r, "DoNotEmail", "0")
	leadSchema.set(r, "DoNotCall", "0")
	leadSchema.set(r, "LeadAge", "0")
	c.stampOwner(leadSchema, r, u)
	if err := c.applyPairs(leadSchema, r, pairs, updateAll); err != nil {
		return nil, err
	}
	if leadSchema.get(r, "FirstName") == "" && leadSchema.get(r, "EmailAddress") == "" && leadSchema.get(r, "Phone") == "" {
		return nil, fail("MandatoryAttributeMissing", "a lead needs a FirstName, an EmailAddress or a Phone")
	}
	if err := c.checkUnique(r, nil); err != nil {
		return nil, err
	}
	c.lastAuto++
	leadSchema.set(r, "ProspectAutoId", itoa(c.lastAuto))
	stampNew(leadSchema, r, u, now)
	c.leads.insert(r)
	return r, nil
}

// updateLead puts a changed copy of old into the table.
func (c *CRM) updateLead(u *user, now time.Time, old *record, pairs []pair, behavior string) (*record, error) {
	r := old.clone()
	if err := c.applyPairs(leadSchema, r, pairs, behavior); err != nil {
		return nil, err
	}
	if err := c.checkUnique(r, old); err != nil {
		return nil, err
	}
	stampChange(leadSchema, r, u, now)
	c.leads.replace(r)
	return r, nil
}

// upsertLead updates the lead that pairs find, or creates one. SearchBy names
// the attribute to find it by; without one e-mail address, then phone.
func (c *CRM) upsertLead(u *user, now time.Time, pairs []pair, behavior string) (*record, bool, error) {
	found, err := c.findByPairs(pairs)
	if err != nil {
		return nil, false, err
	}
	if found == nil {
		r, err := c.createLead(u, now, "", pairs)
		return r, true, err
	}
	if behavior == updateNothing {
		return found, false, nil
	}
	r, err := c.updateLead(u, now, found, pairs, behavior)
	return r, false, err
}

func (c *CRM) findByPairs(pairs []pair) (*record, error) {
	if id, ok := findPair(pairs, "ProspectID"); ok && id != "" {
		r, _ := c.leads.lookup(id)
		return r, nil
	}
	by := []string{"EmailAddress", "Phone"}
	if name, ok := findPair(pairs, "SearchBy"); ok && name != "" {
		if _, known := leadSchema.find(name); !known {
			return nil, unknownAttribute(leadSchema, name)
		}
		by = []string{name}
	}
	for _, name := range by {
		v, ok := findPair(pairs, name)
		if !ok || v == "" {
			continue
		}
		i, _ := leadSchema.find(name)
		for _, r := range c.leads.rows {
			if r.at(i) != "" && sameUnique(leadSchema.cols[i].name, r.at(i), v) {
				return r, nil
			}
		}
	}
	return nil, nil
}

func leadPairsOf(q *call) ([]pair, error) {
	var pairs []pair
	if err := decode(q.body, &pairs); err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		return nil, fail("InvalidInput", "a list of attributes was expected")
	}
	return pairs, nil
}

func createLead(c *CRM, q *call) (any, error) {
	pairs, err := leadPairsOf(q)
	if err != nil {
		return nil, err
	}
	r, err := c.createLead(q.user, q.now, "", pairs)
	if err != nil {
		return nil, err
	}
	return okayID(leadSchema.idOf(r)), nil
}

func updateLead(c *CRM, q *call) (any, error) {
	if q.query("leadId") == "" {
		return nil, fail("MandatoryAttributeMissing", "'leadId' is mandatory for updating lead")
	}
	old, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	pairs, err := leadPairsOf(q)
	if err != nil {
		return nil, err
	}
	if _, err := c.updateLead(q.user, q.now, old, pairs, updateAll); err != nil {
		return nil, err
	}
	return okayRows(1), nil
}

func upsertLead(c *CRM, q *call) (any, error) {
	pairs, err := leadPairsOf(q)
	if err != nil {
		return nil, err
	}
	r, _, err := c.upsertLead(q.user, q.now, pairs, updateAll)
	if err != nil {
		return nil, err
	}
	return okayID(leadSchema.idOf(r)), nil
}

// captureLead is upsertLead that LeadUpdateBehavior steers.
func captureLead(c *CRM, q *call) (any, error) {
	pairs, err := leadPairsOf(q)
	if err != nil {
		return nil, err
	}
	behavior := strings.ToLower(q.query("LeadUpdateBehavior"))
	switch behavior {
	case updateAll, updateNothing, updateEmpty, updateNotUnique:
	default:
		return nil, fail("InvalidInput", "'LeadUpdateBehavior' must be DoNotUpdate, UpdateOnlyEmptyFields or DoNotUpdateUniqueFields")
	}
	r, _, err := c.upsertLead(q.user, q.now, pairs, behavior)
	if err != nil {
		return nil, err
	}
	return okayID(leadSchema.idOf(r)), nil
}

// convertLead makes a customer of a lead.
func convertLead(c *CRM, q *call) (any, error) {
	old, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	var pairs []pair
	if len(q.body) > 0 {
		if err := decode(q.body, &pairs); err != nil {
			return nil, err
		}
	}
	r := old.clone()
	leadSchema.set(r, "ProspectStage", "Customer")
	leadSchema.set(r, "LeadConversionDate", formatTime(q.now))
	if err := c.applyPairs(leadSchema, r, pairs, updateAll); err != nil {
		return nil, err
	}
	if err := c.checkUnique(r, old); err != nil {
		return nil, err
	}
	stampChange(leadSchema, r, q.user, q.now)
	c.leads.replace(r)
	return okayID(leadSchema.idOf(r)), nil
}

// deletion remembers a lead that is gone, for mobile apps that sync later.
type deletion struct{ id, on string }

// deleteLead is a GET that writes, as this API family has it.
func deleteLead(c *CRM, q *call) (any, error) {
	r, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	c.removeLeads(map[string]bool{leadSchema.idOf(r): true}, q.now)
	return okay(), nil
}

// removeLeads drops leads with everything that hangs on them.
func (c *CRM) removeLeads(ids map[string]bool, now time.Time) int {
	if len(ids) == 0 {
		return 0
	}
	for id := range ids {
		c.deleted = append(c.deleted, deletion{id, formatTime(now)})
	}
	c.activities.removeIf(func(r *record) bool { return ids[activitySchema.get(r, "RelatedProspectId")] })
	c.opps.removeIf(func(r *record) bool { return ids[oppSchema.get(r, "RelatedProspectId")] })
	c.tasks.removeIf(func(r *record) bool { return ids[taskSchema.get(r, "RelatedEntityId")] })
	return c.leads.removeIf(func(r *record) bool { return ids[leadSchema.idOf(r)] })
}
