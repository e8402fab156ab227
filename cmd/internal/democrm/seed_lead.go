// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"fmt"
	"strconv"
	"time"
)

// seedLead makes lead number n with everything that hangs on it. Number 1 is
// the well-known one.
func (c *CRM) seedLead(n int) {
	r := leadSchema.blank()
	set := func(name, value string) { leadSchema.set(r, name, value) }
	first, last := c.pick(firstNames), c.pick(lastNames)
	owner := c.owner()
	set("ProspectID", c.newID())
	set("ProspectAutoId", strconv.Itoa(n))
	set("FirstName", first)
	set("LastName", last)
	set("EmailAddress", fmt.Sprintf("%s.%s%d@example.com", slug(first), slug(last), n))
	// The number is spread over 98xxx so that no two leads share one.
	set("Phone", fmt.Sprintf("+9198%08d", (n*7919+41)%100000000))
	set("ProspectStage", c.stage())
	c.seedContact(r, n)
	c.seedOrigin(r)
	c.seedPersonal(r, n)
	created := c.pastDay(540)
	if n == 1 {
		owner, _ = c.userByID(idAsha)
		set("ProspectID", knownLead)
		set("FirstName", "Ishaan")
		set("LastName", "Kapoor")
		set("Phone", "+919876543210")
		set("EmailAddress", "ishaan.kapoor@example.com")
		set("ProspectStage", "Qualified")
		created = seedDay.AddDate(0, -2, 0)
	}
	c.stampOwner(leadSchema, r, owner)
	stampNew(leadSchema, r, owner, created)
	age := int(seedDay.Sub(created).Hours() / 24)
	set("LeadAge", strconv.Itoa(age))
	changed := created.Add(time.Duration(c.rng.IntN(max(1, age*24*3600))) * time.Second)
	stampChange(leadSchema, r, owner, changed)
	if leadSchema.get(r, "ProspectStage") == "Customer" {
		set("LeadConversionDate", formatTime(changed))
		set("Revenue", strconv.Itoa(50000+c.rng.IntN(40)*25000))
	}
	c.seedHistory(r, owner, created, n)
	c.leads.insert(r)
}

func (c *CRM) seedContact(r *record, n int) {
	set := func(name, value string) { leadSchema.set(r, name, value) }
	if c.chance(60) {
		set("Mobile", fmt.Sprintf("+9197%08d", (n*7907+17)%100000000))
	}
	if c.chance(20) {
		set("mx_Phone_2", fmt.Sprintf("+9196%08d", (n*7901+5)%100000000))
	}
	if c.chance(25) {
		set("mx_Secondary_Email", fmt.Sprintf("second%d@mail.example.com", n))
	} else if c.chance(50) {
		set("mx_Secondary_Email", "")
	}
	if c.chance(55) {
		company := c.companies.rows[c.rng.IntN(len(c.companies.rows))]
		set("Company", companySchema.get(company, "CompanyName"))
		set("RelatedCompanyId", companySchema.idOf(company))
		set("JobTitle", c.pick(jobs))
		set("Website", companySchema.get(company, "Website"))
	}
	set("DoNotEmail", strconv.Itoa(btoi(c.chance(12))))
	set("DoNotCall", strconv.Itoa(btoi(c.chance(6))))
	set("DoNotTrack", "0")
	if c.chance(30) {
		note := c.pick(noteTexts)
		if c.chance(40) {
			note = "Call back on " + leadSchema.get(r, "Phone") + ". " + note
		}
		set("Notes", note)
	} else if c.chance(50) {
		set("Notes", "")
	}
}

// stage draws a stage the way a funnel narrows.
func (c *CRM) stage() string {
	draw := c.rng.IntN(100)
	for i, share := range []int{24, 19, 15, 11, 9, 7, 8} {
		if draw -= share; draw < 0 {
			return stages[i]
		}
	}
	return stages[len(stages)-1]
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *CRM) seedOrigin(r *record) {
	set := func(name, value string) { leadSchema.set(r, name, value) }
	set("Source", c.pick(sources))
	if c.chance(60) {
		set("SourceMedium", c.pick(mediums))
		set("SourceCampaign", c.pick(campaigns))
		set("SourceReferrerURL", "https://partners.example.com/offer?id="+c.digits(5))
	}
	if c.chance(30) {
		set("SourceContent", "banner-"+c.digits(2))
		set("SourceIPAddress", fmt.Sprintf("203.0.113.%d", 1+c.rng.IntN(254)))
	}
	set("Origin", c.pick([]string{"Website", "Import", "API", "Manual"}))
	set("Score", strconv.Itoa(c.rng.IntN(200)))
	set("EngagementScore", strconv.Itoa(c.rng.IntN(100)))
	set("QualityScore01", fmt.Sprintf("%d.%02d", c.rng.IntN(10), c.rng.IntN(100)))
	set("LeadType", fmt.Sprintf("OT_%d", c.rng.IntN(3)))
	if c.chance(8) {
		set("StageRottingFlagStatus", "1")
		set("StageRottingFlagMessage", "No movement for 30 days")
		set("StageRottingFlagModifiedOn", formatTime(seedDay.AddDate(0, 0, -c.rng.IntN(30))))
	}
}

func (c *CRM) seedPersonal(r *record, n int) {
	set := func(name, value string) { leadSchema.set(r, name, value) }
	city := cities[c.rng.IntN(len(cities))]
	set("TimeZone", "Asia/Kolkata")
	set("mx_Street1", fmt.Sprintf("%d %s", 1+c.rng.IntN(300), c.pick(streets)))
	set("mx_City", city.name)
	set("mx_State", city.state)
	set("mx_Zip", city.zip+c.digits(2))
	set("mx_Country", "India")
	set("mx_Gender", c.pick([]string{"Female", "Male", "Other"}))
	set("mx_Preferred_Language", c.pick(languages))
	set("mx_Occupation", c.pick(occupations))
	set("mx_Branch", city.name+" Main")
	set("mx_Product", c.pick(loanProducts))
	set("mx_Loan_Amount", strconv.Itoa((1+c.rng.IntN(100))*50000))
	if n == 1 || c.chance(80) {
		born := time.Date(1955+c.rng.IntN(50), time.Month(1+c.rng.IntN(12)), 1+c.rng.IntN(28), 0, 0, 0, 0, time.UTC)
		set("mx_Date_of_Birth", formatTime(born))
	}
	if n == 1 || c.chance(70) {
		set("mx_PAN_Number", c.letters(3)+"P"+c.letters(1)+c.digits(4)+c.letters(1))
	}
	if n == 1 || c.chance(65) {
		set("mx_Aadhaar", strconv.Itoa(2+c.rng.IntN(8))+c.digits(3)+" "+c.digits(4)+" "+c.digits(4))
	} else if c.chance(30) {
		set("mx_Aadhaar", "")
	}
	if n == 1 || c.chance(75) {
		set("mx_Annual_Income", strconv.Itoa((6+c.rng.IntN(120))*50000))
	}
	if c.chance(30) {
		set("mx_KYC", fmt.Sprintf(`{"mx_CustomObject_1":"Verified","mx_CustomObject_2":"%s"}`,
			seedDay.AddDate(0, 0, -c.rng.IntN(300)).Format("2006-01-02")))
	}
}
