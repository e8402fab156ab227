// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/records"
)

func personRoundTrip(e *env) {
	s, ctx := e.open("a"), e.Context()
	_, err := s.Person(ctx, "p1")
	e.is("reading a person who is not there", err, records.ErrNotFound)
	_, err = s.PersonByEmail(ctx, "x@example.com")
	e.is("reading an address that is not there", err, records.ErrNotFound)
	for _, key := range []string{"", "\x00", "\xff", strings.Repeat("k", records.MaxKey+1)} {
		_, err = s.Person(ctx, key)
		e.is("reading a person by a key nobody can have", err, records.ErrNotFound)
		_, err = s.PersonByEmail(ctx, key)
		e.is("reading an address nobody can have", err, records.ErrNotFound)
	}

	p := must[records.Person](e, "adding a person")(s.PutPerson(ctx, person("p1", "Asha@Example.com")))
	e.fresh("Created", p.Created)
	e.fresh("Updated", p.Updated)
	if p.Version != 1 || p.Email != "Asha@Example.com" {
		e.Errorf("a new person came back as version %d with address %q", p.Version, p.Email)
	}
	for _, get := range []func() (records.Person, error){
		func() (records.Person, error) { return s.Person(ctx, "p1") },
		func() (records.Person, error) { return s.PersonByEmail(ctx, "asha@example.com") },
		func() (records.Person, error) { return s.PersonByEmail(ctx, "ASHA@EXAMPLE.COM") },
	} {
		if got := must[records.Person](e, "reading a person")(get()); !samePerson(got, p) {
			e.Errorf("a person was stored as\n%+v\nand read as\n%+v", p, got)
		}
	}

	change := p
	change.Name, change.Role, change.UserType, change.Status = "Asha R", "sales_manager", "mobile", records.Inactive
	change.Email, change.OwnerIDs = "asha.r@example.com", nil
	p2 := must[records.Person](e, "changing a person")(s.PutPerson(ctx, change))
	if p2.Version <= p.Version || !p2.Created.Equal(p.Created) {
		e.Errorf("a change led from version %d to %d and moved Created from %v to %v", p.Version, p2.Version, p.Created, p2.Created)
	}
	if got := must[records.Person](e, "reading a changed person")(s.Person(ctx, "p1")); !samePerson(got, p2) {
		e.Errorf("a change was stored as\n%+v\nand read as\n%+v", p2, got)
	}
	_, err = s.PersonByEmail(ctx, "asha@example.com")
	e.is("signing in with an address given up", err, records.ErrNotFound)
}

func personVersions(e *env) {
	s, ctx := e.open("a"), e.Context()
	p := must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	_, err := s.PutPerson(ctx, person("p1", "b@example.com"))
	e.is("adding an id that is taken", err, records.ErrConflict)
	must[records.Person](e, "changing")(s.PutPerson(ctx, p))
	_, err = s.PutPerson(ctx, p)
	e.is("changing a person somebody changed since", err, records.ErrConflict)
	ghost := person("nobody", "n@example.com")
	ghost.Version = 3
	_, err = s.PutPerson(ctx, ghost)
	e.is("changing a person who is not there", err, records.ErrConflict)
}

func personVersionsParallel(e *env) {
	s, other, ctx := e.open("a"), e.open("a"), e.Context()
	p := must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	for round := range 3 {
		errs := parallel(writers, func(i int) error {
			c := p
			c.Name = "writer " + strconv.Itoa(i)
			_, err := []records.Store{s, other}[i%2].PutPerson(ctx, c)
			return err
		})
		e.oneWinner("round "+strconv.Itoa(round), errs)
		p = must[records.Person](e, "reading")(s.Person(ctx, "p1"))
	}
	if p.Version != 4 {
		e.Errorf("after three rounds the person is at version %d", p.Version)
	}
}

func personEmailUnique(e *env) {
	s, ctx := e.open("a"), e.Context()
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "asha@example.com")))
	_, err := s.PutPerson(ctx, person("p2", "ASHA@example.COM"))
	e.is("adding an address that is taken in other letters", err, records.ErrConflict)
	p3 := must[records.Person](e, "adding")(s.PutPerson(ctx, person("p3", "ravi@example.com")))
	p3.Email = "Asha@example.com"
	_, err = s.PutPerson(ctx, p3)
	e.is("taking over somebody's address", err, records.ErrConflict)
	must[records.Person](e, "adding an address that only looks alike")(s.PutPerson(ctx, person("p4", "asha@example.\u212aom")))
	if got := must[records.Person](e, "reading")(s.PersonByEmail(ctx, "asha@example.com")); got.ID != "p1" {
		e.Errorf("the address leads to %q", got.ID)
	}
}

func personEmailParallel(e *env) {
	s, other, ctx := e.open("a"), e.open("a"), e.Context()
	e.oneWinner("adding one address", parallel(writers, func(i int) error {
		email := []string{"asha@example.com", "Asha@Example.com"}[i/2%2]
		_, err := []records.Store{s, other}[i%2].PutPerson(ctx, person("p"+strconv.Itoa(i), email))
		return err
	}))
}

func personInvalid(e *env) {
	s, ctx := e.open("a"), e.Context()
	for name, spoil := range map[string]func(*records.Person){
		"no id":              func(p *records.Person) { p.ID = "" },
		"no address":         func(p *records.Person) { p.Email = "" },
		"no status":          func(p *records.Person) { p.Status = "" },
		"unknown status":     func(p *records.Person) { p.Status = "suspended" },
		"long id":            func(p *records.Person) { p.ID = strings.Repeat("x", records.MaxKey+1) },
		"long address":       func(p *records.Person) { p.Email = strings.Repeat("x", records.MaxKey+1) },
		"NUL in the name":    func(p *records.Person) { p.Name = "a\x00b" },
		"bad UTF-8 role":     func(p *records.Person) { p.Role = "a\xffb" },
		"bad UTF-8 owner id": func(p *records.Person) { p.OwnerIDs = []string{"\xff"} },
	} {
		p := person("p1", "a@example.com")
		spoil(&p)
		_, err := s.PutPerson(ctx, p)
		e.is(name, err, records.ErrInvalid)
	}
	if n := len(must[[]records.Person](e, "reading people")(s.People(ctx))); n != 0 {
		e.Errorf("%d people were stored although each was refused", n)
	}
}

func peopleOrdered(e *env) {
	s, ctx := e.open("a"), e.Context()
	if got := must[[]records.Person](e, "reading people")(s.People(ctx)); len(got) != 0 {
		e.Errorf("a new store holds %d people", len(got))
	}
	for _, id := range []string{"b", "a", "C", "é", "_"} {
		p := person(id, id+"@example.com")
		if id == "a" {
			p.Status = records.Inactive
		}
		must[records.Person](e, "adding "+id)(s.PutPerson(ctx, p))
	}
	var ids strings.Builder
	for _, p := range must[[]records.Person](e, "reading people")(s.People(ctx)) {
		ids.WriteString(p.ID)
	}
	if ids.String() != "C_abé" {
		e.Errorf("people came as %q: all of them, inactive ones too, ordered by id, are C_abé", ids.String())
	}
}

func crmKeyRoundTrip(e *env) {
	s, ctx := e.open("a"), e.Context()
	k := records.CRMKey{PersonID: "p1", Lookup: "look-1", Sealed: []byte{0, 1, 2, 0xff}}
	e.is("a key of nobody", s.PutCRMKey(ctx, k), records.ErrNotFound)
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p2", "b@example.com")))
	_, err := s.CRMKey(ctx, "p1")
	e.is("reading a key not set", err, records.ErrNotFound)
	e.ok("setting a key", s.PutCRMKey(ctx, k))
	for _, get := range []func() (records.CRMKey, error){
		func() (records.CRMKey, error) { return s.CRMKey(ctx, "p1") },
		func() (records.CRMKey, error) { return s.CRMKeyByLookup(ctx, "look-1") },
	} {
		got := must[records.CRMKey](e, "reading a key")(get())
		if got.PersonID != "p1" || got.Lookup != "look-1" || !bytes.Equal(got.Sealed, k.Sealed) {
			e.Errorf("a key was stored as %+v and read as %+v", k, got)
		}
		e.fresh("Updated", got.Updated)
	}
	e.is("one key for two people", s.PutCRMKey(ctx, records.CRMKey{PersonID: "p2", Lookup: "look-1", Sealed: []byte("x")}), records.ErrConflict)
	k.Lookup, k.Sealed = "look-2", []byte("new")
	e.ok("replacing a key", s.PutCRMKey(ctx, k))
	_, err = s.CRMKeyByLookup(ctx, "look-1")
	e.is("finding a key replaced", err, records.ErrNotFound)
	e.ok("setting another's key", s.PutCRMKey(ctx, records.CRMKey{PersonID: "p2", Lookup: "look-1", Sealed: []byte("x")}))
	all := must[[]records.CRMKey](e, "reading all keys")(s.CRMKeys(ctx))
	if len(all) != 2 || all[0].PersonID != "p1" || all[1].PersonID != "p2" || string(all[0].Sealed) != "new" {
		e.Errorf("all keys are %+v", all)
	}
	e.is("a key without look-up value", s.PutCRMKey(ctx, records.CRMKey{PersonID: "p1"}), records.ErrInvalid)
}
