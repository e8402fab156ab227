// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

// Roles as the API writes them.
const (
	roleAdmin     = "Administrator"
	roleManager   = "Sales_Manager"
	roleMarketing = "Marketing_User"
	roleSales     = "Sales_User"
)

var roles = []string{roleAdmin, roleManager, roleMarketing, roleSales}

// user is one person. Changed only by putting a copy in its stead.
type user struct {
	id, first, last, email, phone string
	role                          string
	reportsTo                     string
	status                        int // 0 active, 1 inactive
	userType                      int // 0 web, 1 mobile only
	tag                           *string
	isAgent                       bool
	accessKey, secretKey          string
	custom                        map[string]string
}

func (u *user) name() string { return strings.TrimSpace(u.first + " " + u.last) }

// group is a sales group.
type group struct {
	id, name, description, createdOn string
	members                          []membership
}

// membership is a person's place in a group with the six rights of a manager.
type membership struct {
	userID                                               string
	viewLeads, modifyLeads, viewAccounts, modifyAccounts bool
	addUsers, createAutomation                           bool
}

func (c *CRM) userByID(id string) (*user, bool) {
	return c.findUser(func(u *user) bool { return strings.EqualFold(u.id, strings.TrimSpace(id)) })
}

func (c *CRM) userByEmail(email string) (*user, bool) {
	return c.findUser(func(u *user) bool { return strings.EqualFold(u.email, strings.TrimSpace(email)) })
}

func (c *CRM) findUser(is func(*user) bool) (*user, bool) {
	i := slices.IndexFunc(c.users, is)
	if i < 0 {
		return nil, false
	}
	return c.users[i], true
}

// putUser adds a person or puts the changed copy in the old one's stead.
func (c *CRM) putUser(u *user) {
	c.keys[u.accessKey] = u
	for i, old := range c.users {
		if old.id == u.id {
			c.users[i] = u
			return
		}
	}
	c.users = append(c.users, u)
}

func (c *CRM) groupNames(userID string) []string {
	names := []string{}
	for _, g := range c.groups {
		for _, m := range g.members {
			if m.userID == userID {
				names = append(names, g.name)
			}
		}
	}
	return names
}
