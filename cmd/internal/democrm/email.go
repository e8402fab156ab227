// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import "slices"

// Mail is a message the CRM was asked to send. It is recorded, not sent.
type Mail struct {
	LeadID  string
	To      string
	From    string // id of the person it was sent as
	Subject string
	Body    string
	At      string // when it is to go out
}

// Mails lists the messages recorded so far, oldest first.
func (c *CRM) Mails() []Mail {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.mails)
}

type mailWrite struct {
	ProspectId       string
	RecipientType    string
	Recipient        string
	EmailAddress     string
	Subject          string
	ContentHTML      string
	ContentText      string
	ScheduledDateUTC scalar
}

// sendToLead is SendEmailToLead and ScheduleEmailToLead. It takes the lead by
// id or by address and refuses leads marked Do Not Email.
func sendToLead(c *CRM, q *call) (any, error) {
	var b mailWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	id, address := b.ProspectId, b.EmailAddress
	switch b.RecipientType {
	case "LeadId":
		id = b.Recipient
	case "LeadEmailAddress":
		address = b.Recipient
	}
	lead, ok := c.leads.lookup(id)
	if !ok && address != "" {
		v := scalar(address)
		found, err := c.findByPairs([]pair{{Attribute: "EmailAddress", Value: &v}})
		if err != nil {
			return nil, err
		}
		lead = found
	}
	if lead == nil {
		return nil, fail("InvalidInput", "Lead not found")
	}
	to := leadSchema.get(lead, "EmailAddress")
	if to == "" {
		return nil, fail("InvalidInput", "the lead has no e-mail address")
	}
	if leadSchema.get(lead, "DoNotEmail") == "1" {
		return nil, fail("InvalidInput", "the lead does not want e-mail")
	}
	return c.recordMail(q, b, leadSchema.idOf(lead), to)
}

// sendMail is SendMail: to any address.
func sendMail(c *CRM, q *call) (any, error) {
	var b mailWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	if b.EmailAddress == "" {
		return nil, fail("MandatoryAttributeMissing", "'EmailAddress' is mandatory")
	}
	return c.recordMail(q, b, "", b.EmailAddress)
}

func (c *CRM) recordMail(q *call, b mailWrite, leadID, to string) (any, error) {
	at := q.now
	if b.ScheduledDateUTC != "" {
		t, ok := parseTime(string(b.ScheduledDateUTC))
		if !ok {
			return nil, fail("InvalidInput", "'ScheduledDateUTC' takes a date as YYYY-MM-DD HH:MM:SS")
		}
		at = t
	}
	body := b.ContentHTML
	if body == "" {
		body = b.ContentText
	}
	c.mails = append(c.mails, Mail{leadID, to, q.user.id, b.Subject, body, formatTime(at)})
	return okayID(c.newID()), nil
}
