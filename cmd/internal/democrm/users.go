// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"maps"
	"slices"
	"strings"
)

// userItem is one line of the RK family.
type userItem struct {
	ID               string
	FirstName        string
	LastName         string
	EmailAddress     string
	Role             string
	StatusCode       int
	MemberOfGroups   []string
	Tag              *string
	IsPhoneCallAgent bool
}

func (c *CRM) userItem(u *user) userItem {
	return userItem{u.id, u.first, u.last, u.email, u.role, u.status, c.groupNames(u.id), u.tag, u.isAgent}
}

func (c *CRM) userItems(list []*user) []userItem {
	out := make([]userItem, 0, len(list))
	for _, u := range list {
		out = append(out, c.userItem(u))
	}
	return out
}

func listUsers(c *CRM, q *call) (any, error) { return c.userItems(c.users), nil }

func userByID(c *CRM, q *call) (any, error) {
	u, ok := c.userByID(q.query("userId"))
	if !ok {
		return nil, fail("InvalidInput", "User not found")
	}
	return c.userItems([]*user{u}), nil
}

func userByEmail(c *CRM, q *call) (any, error) {
	u, ok := c.userByEmail(q.query("emailAddress"))
	if !ok {
		return nil, fail("InvalidInput", "User not found")
	}
	return c.userItems([]*user{u}), nil
}

var userSchema = newSchema("User", "ID", []column{
	{name: "ID"},
	{name: "FirstName"},
	{name: "LastName"},
	{name: "EmailAddress"},
	{name: "Role"},
	{name: "StatusCode", kind: number},
})

// searchUsers is User/AdvancedSearch.
func searchUsers(c *CRM, q *call) (any, error) {
	var body struct {
		AdvancedSearch string
		Paging         paging
	}
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	search, err := parseAdvanced(body.AdvancedSearch)
	if err != nil {
		return nil, err
	}
	own := side{userSchema, itself}
	match, err := search.compile(map[string]side{"user": own, "": own})
	if err != nil {
		return nil, err
	}
	t := newTable(userSchema)
	for _, u := range c.users {
		r := userSchema.blank()
		for name, v := range map[string]string{
			"ID": u.id, "FirstName": u.first, "LastName": u.last,
			"EmailAddress": u.email, "Role": u.role, "StatusCode": itoa(u.status),
		} {
			userSchema.set(r, name, v)
		}
		t.insert(r)
	}
	rows, err := body.Paging.cut(where(t.rows, match), maxEvents)
	if err != nil {
		return nil, err
	}
	found := []*user{}
	for _, r := range rows {
		u, _ := c.userByID(userSchema.idOf(r))
		found = append(found, u)
	}
	return c.userItems(found), nil
}

// userWrite is the body of User/Create and User/Update; a nil member leaves
// what was there.
type userWrite struct {
	UserId           string
	FirstName        *string
	LastName         *string
	EmailAddress     *string
	PhoneMain        *string
	Role             *string
	StatusCode       *scalar
	UserType         *scalar
	Tag              *string
	Password         *string // accepted and dropped: nobody signs in to the CRM itself
	CustomFields     map[string]scalar
	AssociatedGroups []struct{ GroupId string }
}

func put(dst *string, v *string) {
	if v != nil {
		*dst = strings.TrimSpace(*v)
	}
}

func (c *CRM) applyUser(u *user, b userWrite) error {
	put(&u.first, b.FirstName)
	put(&u.last, b.LastName)
	put(&u.email, b.EmailAddress)
	put(&u.phone, b.PhoneMain)
	put(&u.role, b.Role)
	if b.Tag != nil {
		u.tag = b.Tag
	}
	var err error
	if b.StatusCode != nil {
		if u.status, err = b.StatusCode.number("StatusCode", 0); err != nil || u.status < 0 || u.status > 1 {
			return fail("InvalidInput", "'StatusCode' must be 0 (active) or 1 (inactive)")
		}
	}
	if b.UserType != nil {
		if u.userType, err = b.UserType.number("UserType", 0); err != nil || u.userType < 0 || u.userType > 1 {
			return fail("InvalidInput", "'UserType' must be 0 (web) or 1 (mobile)")
		}
	}
	if u.first == "" || u.email == "" || u.role == "" {
		return fail("MandatoryAttributeMissing", "'FirstName', 'EmailAddress' and 'Role' are mandatory")
	}
	if !slices.Contains(roles, u.role) {
		return fail("InvalidInput", "'Role' must be one of %s", strings.Join(roles, ", "))
	}
	if other, ok := c.userByEmail(u.email); ok && other.id != u.id {
		return fail("DuplicateEntry", "A user with same Email Address already exists.")
	}
	custom := map[string]string{}
	maps.Copy(custom, u.custom)
	for name, v := range b.CustomFields {
		custom[name] = string(v)
	}
	u.custom = custom
	return nil
}

func createUser(c *CRM, q *call) (any, error) {
	var b userWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	if err := q.mustAdmin(); err != nil {
		return nil, err
	}
	u := &user{id: c.newID(), reportsTo: q.user.id}
	if err := c.applyUser(u, b); err != nil {
		return nil, err
	}
	var joins []*group
	for _, g := range b.AssociatedGroups {
		found, ok := c.groupByID(g.GroupId)
		if !ok {
			return nil, fail("InvalidInput", "Group not found")
		}
		joins = append(joins, found)
	}
	c.newKeys(u)
	c.putUser(u)
	for _, g := range joins {
		g.members = append(g.members, membership{userID: u.id})
	}
	return okayID(u.id), nil
}

// updateUser changes a person; StatusCode 1 deactivates them and kills their keys.
func updateUser(c *CRM, q *call) (any, error) {
	var b userWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	if err := q.mustAdmin(); err != nil {
		return nil, err
	}
	id := b.UserId
	if id == "" {
		id = q.query("userId")
	}
	old, ok := c.userByID(id)
	if !ok {
		return nil, fail("InvalidInput", "User not found")
	}
	u := *old
	if err := c.applyUser(&u, b); err != nil {
		return nil, err
	}
	c.putUser(&u)
	return okayRows(1), nil
}

// reportingUsers is the RL family: ids of everybody below a person.
func reportingUsers(c *CRM, q *call) (any, error) {
	top, ok := c.userByID(q.query("UserId"))
	if !ok {
		return nil, fail("InvalidInput", "User not found")
	}
	below, seen := []string{}, map[string]bool{top.id: true}
	for next := []string{top.id}; len(next) > 0; next = next[1:] {
		for _, u := range c.users {
			if u.reportsTo == next[0] && !seen[u.id] {
				seen[u.id] = true
				below = append(below, u.id)
				next = append(next, u.id)
			}
		}
	}
	return below, nil
}

// whoAmI is the RN family.
type whoAmI struct {
	UserId               string
	FirstName            string
	LastName             string
	EmailAddress         string
	Role                 string
	UserType             int
	OrgId                string
	OrgShortCode         string
	RestrictedFeatures   []string
	MobileServiceURLs    map[string]string
	LSQCommonServiceURLs map[string]string
}

func whoHasKey(c *CRM, q *call) (any, error) {
	u := q.user
	return whoAmI{
		u.id, u.first, u.last, u.email, u.role, u.userType, c.account.id, c.account.code,
		[]string{},
		map[string]string{
			"ReportsURL": "/app/reports", "FileUploadURL": "/mobile/v1/recordings",
			"MobileNotificationURL": "/app/api/events",
		},
		map[string]string{"AppURL": "/app/leads", "APIURL": "/v2/"},
	}, nil
}
