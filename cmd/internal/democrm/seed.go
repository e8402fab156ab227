// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// seedDay is the day the seeded records lead up to.
var seedDay = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

// The well-known ids, the same under every seed.
const (
	knownLead = "00000000-0000-4000-8000-000000000001"
	idAdmin   = "00000000-0000-4000-8000-00000000a001"
	idManager = "00000000-0000-4000-8000-00000000a002"
	idMarket  = "00000000-0000-4000-8000-00000000a003"
	idAsha    = "00000000-0000-4000-8000-00000000a004"
	idRavi    = "00000000-0000-4000-8000-00000000a005"
)

func (c *CRM) seed(leads int) {
	c.account = account{id: c.newID(), code: "ACME", apiKey: c.hex(20)}
	c.types = seedTypes()
	c.seedUsers()
	c.seedGroups()
	c.seedCompanies(max(3, leads/50))
	for n := 1; n <= leads; n++ {
		c.seedLead(n)
	}
	c.lastAuto = leads
	c.products = []product{
		{ID: "P-100", Name: "Home Loan"}, {ID: "P-200", Name: "Car Loan"}, {ID: "P-300", Name: "Term Insurance"},
	}
}

func (c *CRM) hex(bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(c.rng.Uint32())
	}
	return hex.EncodeToString(b)
}

// newID makes a random UUID of version 4.
func (c *CRM) newID() string {
	h := []byte(c.hex(16))
	h[12] = '4'
	h[16] = "89ab"[c.rng.IntN(4)]
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

func (c *CRM) pick(list []string) string { return list[c.rng.IntN(len(list))] }

// chance is true in p of 100 draws.
func (c *CRM) chance(p int) bool { return c.rng.IntN(100) < p }

func (c *CRM) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + c.rng.IntN(10))
	}
	return string(b)
}

func (c *CRM) letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('A' + c.rng.IntN(26))
	}
	return string(b)
}

func (c *CRM) newKeys(u *user) {
	u.accessKey, u.secretKey = "u$r"+c.hex(16), c.hex(20)
}

func (c *CRM) seedUsers() {
	agent := "Telephony"
	list := []*user{
		{id: idAdmin, first: "Anita", last: "Deshpande", email: "admin@acme.test", role: roleAdmin},
		{id: idManager, first: "Manoj", last: "Pillai", email: "manager@acme.test", role: roleManager, reportsTo: idAdmin},
		{id: idMarket, first: "Meera", last: "Joshi", email: "marketing@acme.test", role: roleMarketing, reportsTo: idAdmin},
		{id: idAsha, first: "Asha", last: "Rao", email: "asha@acme.test", role: roleSales, reportsTo: idManager},
		{id: idRavi, first: "Ravi", last: "Menon", email: "ravi@acme.test", role: roleSales, reportsTo: idManager},
		{first: "Divya", last: "Nair", email: "divya@acme.test", role: roleSales, reportsTo: idManager},
		{first: "Kabir", last: "Sethi", email: "kabir@acme.test", role: roleSales, reportsTo: idManager, tag: &agent, isAgent: true},
		{first: "Leela", last: "Bhat", email: "leela@acme.test", role: roleSales, reportsTo: idRavi},
		{first: "Farhan", last: "Qureshi", email: "farhan@acme.test", role: roleSales, reportsTo: idRavi, userType: 1},
		{first: "Gita", last: "Thomas", email: "gita@acme.test", role: roleSales, reportsTo: idManager, status: 1},
	}
	for i, u := range list {
		if u.id == "" {
			u.id = c.newID()
		}
		u.phone = fmt.Sprintf("+9198000000%02d", i+1)
		c.newKeys(u)
		c.putUser(u)
	}
}

func (c *CRM) seedGroups() {
	id := func(email string) string {
		u, _ := c.userByEmail(email)
		return u.id
	}
	add := func(name, text string, members ...membership) {
		c.groups = append(c.groups, &group{c.newID(), name, text, formatTime(seedDay.AddDate(-1, 0, 0)), members})
	}
	add("Mumbai", "Retail loans, Mumbai and Pune",
		membership{userID: idAsha},
		membership{userID: id("divya@acme.test"), viewLeads: true, viewAccounts: true})
	add("Delhi NCR", "Retail loans, Delhi and around",
		membership{userID: idRavi, viewLeads: true, modifyLeads: true, viewAccounts: true, addUsers: true},
		membership{userID: id("leela@acme.test")},
		membership{userID: id("farhan@acme.test")})
	add("Bengaluru", "Insurance, Karnataka",
		membership{userID: id("kabir@acme.test"), viewLeads: true},
		membership{userID: id("gita@acme.test")},
		membership{userID: idAsha})
}

// owners are the people leads are handed to.
func (c *CRM) owner() *user {
	for {
		u := c.users[1+c.rng.IntN(len(c.users)-1)]
		if u.role == roleSales || u.role == roleManager {
			return u
		}
	}
}

func (c *CRM) stampOwner(s *schema, r *record, u *user) {
	s.set(r, "OwnerId", u.id)
	if _, ok := s.find("OwnerIdName"); ok {
		s.set(r, "OwnerIdName", u.name())
		s.set(r, "OwnerIdEmailAddress", u.email)
	}
	if _, ok := s.find("OwnerName"); ok {
		s.set(r, "OwnerName", u.name())
		s.set(r, "OwnerEmailAddress", u.email)
	}
}

// stampNew marks who made a record and when.
func stampNew(s *schema, r *record, u *user, at time.Time) {
	s.set(r, "CreatedOn", formatTime(at))
	s.set(r, "CreatedBy", u.id)
	s.set(r, "CreatedByName", u.name())
	stampChange(s, r, u, at)
}

// stampChange marks who changed a record last and when.
func stampChange(s *schema, r *record, u *user, at time.Time) {
	s.set(r, "ModifiedOn", formatTime(at))
	s.set(r, "ModifiedBy", u.id)
	s.set(r, "ModifiedByName", u.name())
	if _, ok := s.find("LeadLastModifiedOn"); ok {
		s.set(r, "LeadLastModifiedOn", formatTime(at))
	}
}

func (c *CRM) seedCompanies(n int) {
	for i := range n {
		r := companySchema.blank()
		name := c.pick(companyFirst) + " " + c.pick(companySecond)
		u := c.owner()
		companySchema.set(r, "CompanyId", c.newID())
		companySchema.set(r, "CompanyAutoId", fmt.Sprint(i+1))
		companySchema.set(r, "CompanyType", c.pick([]string{"Partners", "Customers"}))
		companySchema.set(r, "CompanyName", fmt.Sprintf("%s %d", name, i+1))
		companySchema.set(r, "Stage", c.pick([]string{"Prospect", "Active", "Dormant"}))
		companySchema.set(r, "Phone", "+9122"+c.digits(8))
		companySchema.set(r, "EmailAddress", fmt.Sprintf("office%d@accounts.example.com", i+1))
		companySchema.set(r, "Website", fmt.Sprintf("https://account%d.example.com", i+1))
		companySchema.set(r, "City", cities[c.rng.IntN(len(cities))].name)
		companySchema.set(r, "mx_Custom_1", "27"+c.letters(5)+c.digits(4)+c.letters(1)+"1Z5")
		companySchema.set(r, "mx_Custom_2", fmt.Sprint(5+c.rng.IntN(900)))
		c.stampOwner(companySchema, r, u)
		stampNew(companySchema, r, u, c.pastDay(700))
		c.companies.insert(r)
	}
}

// pastDay is a moment up to days before the seed day, in office hours.
func (c *CRM) pastDay(days int) time.Time {
	return seedDay.AddDate(0, 0, -c.rng.IntN(days)-1).
		Add(time.Duration(c.rng.IntN(8*3600))*time.Second - 4*time.Hour)
}

func slug(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
