// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

// salesActivity is an order booked on a lead.
type salesActivity struct {
	Id                string
	RelatedProspectId string
	Product           string
	OrderValue        string
	Note              string
	Status            string // Active or Cancelled
	CreatedOn         string
	CreatedBy         string
}

type product struct{ ID, Name string }

type salesWrite struct {
	SalesActivityId   string
	RelatedProspectId string
	Product           string
	OrderValue        scalar
	Note              string
}

func createSale(c *CRM, q *call) (any, error) {
	var b salesWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	lead, err := c.mustLead(b.RelatedProspectId)
	if err != nil {
		return nil, err
	}
	if _, err := b.OrderValue.number("OrderValue", 0); err != nil {
		return nil, err
	}
	s := salesActivity{
		c.newID(), leadSchema.idOf(lead), b.Product, string(b.OrderValue), b.Note, "Active",
		formatTime(q.now), q.user.id,
	}
	c.sales = append(c.sales, s)
	return okayID(s.Id), nil
}

func (c *CRM) saleAt(id string) (int, error) {
	i := slices.IndexFunc(c.sales, func(s salesActivity) bool { return strings.EqualFold(s.Id, id) })
	if i < 0 {
		return 0, fail("InvalidInput", "Sales activity not found")
	}
	return i, nil
}

func updateSale(c *CRM, q *call) (any, error) {
	var b salesWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	i, err := c.saleAt(b.SalesActivityId)
	if err != nil {
		return nil, err
	}
	if _, err := b.OrderValue.number("OrderValue", 0); err != nil {
		return nil, err
	}
	if b.Product != "" {
		c.sales[i].Product = b.Product
	}
	if b.OrderValue != "" {
		c.sales[i].OrderValue = string(b.OrderValue)
	}
	if b.Note != "" {
		c.sales[i].Note = b.Note
	}
	return okayRows(1), nil
}

func cancelSale(c *CRM, q *call) (any, error) {
	var b salesWrite
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	i, err := c.saleAt(b.SalesActivityId)
	if err != nil {
		return nil, err
	}
	c.sales[i].Status = "Cancelled"
	return okayRows(1), nil
}

func retrieveSales(c *CRM, q *call) (any, error) {
	lead, err := c.mustLead(q.query("leadId"))
	if err != nil {
		return nil, err
	}
	list := []salesActivity{}
	for _, s := range c.sales {
		if s.RelatedProspectId == leadSchema.idOf(lead) {
			list = append(list, s)
		}
	}
	return struct {
		RecordCount int
		List        []salesActivity
	}{len(list), list}, nil
}

func createProduct(c *CRM, q *call) (any, error) {
	var b struct{ Name string }
	if err := decode(q.body, &b); err != nil {
		return nil, err
	}
	if strings.TrimSpace(b.Name) == "" {
		return nil, fail("MandatoryAttributeMissing", "'Name' is mandatory")
	}
	p := product{"P-" + c.hex(4), b.Name}
	c.products = append(c.products, p)
	return okayID(p.ID), nil
}

// deleteProduct is a GET that writes.
func deleteProduct(c *CRM, q *call) (any, error) {
	id, before := q.query("id"), len(c.products)
	c.products = slices.DeleteFunc(c.products, func(p product) bool { return p.ID == id })
	if len(c.products) == before {
		return nil, fail("InvalidInput", "Product not found")
	}
	return okay(), nil
}
