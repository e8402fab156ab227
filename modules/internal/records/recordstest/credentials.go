// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/records"
)

func credentialRoundTrip(e *env) {
	s, ctx := e.open("a"), e.Context()
	c := records.Credential{PersonID: "p1", Kind: "password", Secret: []byte("$argon2id$one")}
	e.is("a credential of nobody", s.PutCredential(ctx, c), records.ErrNotFound)
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	_, err := s.Credential(ctx, "p1", "password")
	e.is("reading a credential not set", err, records.ErrNotFound)
	for _, secret := range [][]byte{[]byte("$argon2id$one"), []byte("$argon2id$two"), {0, 1, 0xff, 0}, {}} {
		c.Secret = secret
		e.ok("setting a credential", s.PutCredential(ctx, c))
		got := must[records.Credential](e, "reading a credential")(s.Credential(ctx, "p1", "password"))
		if !bytes.Equal(got.Secret, secret) || got.PersonID != "p1" || got.Kind != "password" {
			e.Errorf("a credential was set to %q and read as %+v", secret, got)
		}
		e.fresh("Updated", got.Updated)
	}
	c.Kind = "totp"
	e.ok("setting another kind", s.PutCredential(ctx, c))
	e.ok("deleting", s.DeleteCredential(ctx, "p1", "password"))
	e.ok("deleting again", s.DeleteCredential(ctx, "p1", "password"))
	e.ok("deleting under a key nobody can have", s.DeleteCredential(ctx, "\x00", "password"))
	_, err = s.Credential(ctx, "p1", "password")
	e.is("reading a deleted credential", err, records.ErrNotFound)
	must[records.Credential](e, "reading the other kind")(s.Credential(ctx, "p1", "totp"))
	e.is("a credential without kind", s.PutCredential(ctx, records.Credential{PersonID: "p1"}), records.ErrInvalid)
}

func credentialsListed(e *env) {
	s, ctx := e.open("a"), e.Context()
	for _, id := range []string{"p1", "p2", "nobody", "", "\x00", strings.Repeat("k", records.MaxKey+1)} {
		if got := must[[]records.Credential](e, "listing")(s.Credentials(ctx, id)); len(got) != 0 {
			e.Errorf("somebody without credentials shows %d", len(got))
		}
	}
	for _, id := range []string{"p1", "p2"} {
		must[records.Person](e, "adding")(s.PutPerson(ctx, person(id, id+"@example.com")))
	}
	for i, kind := range []string{"totp", "passkey/b", "password", "passkey/a", "Z"} {
		e.ok("setting", s.PutCredential(ctx, records.Credential{PersonID: "p1", Kind: kind, Secret: []byte{byte(i), 0xff}}))
	}
	e.ok("setting another's", s.PutCredential(ctx, records.Credential{PersonID: "p2", Kind: "totp", Secret: []byte("x")}))
	var list strings.Builder
	for _, c := range must[[]records.Credential](e, "listing")(s.Credentials(ctx, "p1")) {
		list.WriteString(c.PersonID + ":" + c.Kind + ":" + strconv.Itoa(int(c.Secret[0])) + " ")
		e.fresh("Updated", c.Updated)
	}
	if want := "p1:Z:4 p1:passkey/a:3 p1:passkey/b:1 p1:password:2 p1:totp:0 "; list.String() != want {
		e.Errorf("a person's credentials are %q, want %q: his own alone, ordered by kind", list.String(), want)
	}
}

func credentialSwap(e *env) {
	s, ctx := e.open("a"), e.Context()
	c := func(kind, secret string) records.Credential {
		return records.Credential{PersonID: "p1", Kind: kind, Secret: []byte(secret)}
	}
	e.is("adding a credential of nobody", s.SwapCredential(ctx, c("totp", "one"), nil), records.ErrNotFound)
	e.is("changing a credential of nobody", s.SwapCredential(ctx, c("totp", "one"), []byte("x")), records.ErrConflict)
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p2", "b@example.com")))

	e.is("changing one that is not there", s.SwapCredential(ctx, c("totp", "one"), []byte("x")), records.ErrConflict)
	e.is("changing one that is not there from empty", s.SwapCredential(ctx, c("totp", "one"), []byte{}), records.ErrConflict)
	e.ok("adding", s.SwapCredential(ctx, c("totp", "one"), nil))
	e.ok("setting another's", s.PutCredential(ctx, records.Credential{PersonID: "p2", Kind: "totp", Secret: []byte("one")}))
	e.is("adding again", s.SwapCredential(ctx, c("totp", "two"), nil), records.ErrConflict)
	e.is("changing from a secret it no longer has", s.SwapCredential(ctx, c("totp", "two"), []byte("zero")), records.ErrConflict)
	e.is("changing from empty", s.SwapCredential(ctx, c("totp", "two"), []byte{}), records.ErrConflict)
	e.is("changing from a part", s.SwapCredential(ctx, c("totp", "two"), []byte("on")), records.ErrConflict)
	e.ok("changing", s.SwapCredential(ctx, c("totp", "two"), []byte("one")))
	got := must[records.Credential](e, "reading")(s.Credential(ctx, "p1", "totp"))
	if string(got.Secret) != "two" {
		e.Errorf("after a change the secret is %q", got.Secret)
	}
	e.fresh("Updated", got.Updated)
	if got := must[records.Credential](e, "reading")(s.Credential(ctx, "p2", "totp")); string(got.Secret) != "one" {
		e.Errorf("one person's change made another's secret %q", got.Secret)
	}

	e.is("dropping with a secret it no longer has", s.DropCredential(ctx, "p1", "totp", []byte("one")), records.ErrConflict)
	e.is("dropping without a secret", s.DropCredential(ctx, "p1", "totp", nil), records.ErrConflict)
	e.ok("dropping", s.DropCredential(ctx, "p1", "totp", []byte("two")))
	e.is("dropping again", s.DropCredential(ctx, "p1", "totp", []byte("two")), records.ErrConflict)
	e.is("bringing back what was dropped", s.SwapCredential(ctx, c("totp", "three"), []byte("two")), records.ErrConflict)
	must[records.Credential](e, "the other's")(s.Credential(ctx, "p2", "totp"))

	e.ok("adding an empty one", s.SwapCredential(ctx, records.Credential{PersonID: "p1", Kind: "empty"}, nil))
	e.ok("changing it", s.SwapCredential(ctx, c("empty", ""), []byte{}))
	e.ok("dropping it", s.DropCredential(ctx, "p1", "empty", nil))

	e.is("a credential without kind", s.SwapCredential(ctx, c("", "x"), nil), records.ErrInvalid)
	e.is("a credential of no id", s.SwapCredential(ctx, records.Credential{Kind: "totp"}, nil), records.ErrInvalid)
	e.is("dropping under a key nobody can have", s.DropCredential(ctx, "\x00", "totp", nil), records.ErrConflict)
}

func credentialSwapParallel(e *env) {
	s, other, ctx := e.open("a"), e.open("a"), e.Context()
	must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	round := 0
	swap := func(old []byte) func(int) error {
		round++
		return func(i int) error { // in each round every writer has a value of his own
			c := records.Credential{PersonID: "p1", Kind: "recovery", Secret: []byte(strconv.Itoa(round) + "/" + strconv.Itoa(i))}
			return []records.Store{s, other}[i%2].SwapCredential(ctx, c, old)
		}
	}
	read := func() []byte {
		return must[records.Credential](e, "reading")(s.Credential(ctx, "p1", "recovery")).Secret
	}
	e.oneWinner("setting up a factor", parallel(writers, swap(nil)))
	for range 2 {
		e.oneWinner("using a recovery code", parallel(writers, swap(read())))
	}
	last := read()
	e.oneWinner("dropping a factor", parallel(writers, func(i int) error {
		return []records.Store{s, other}[i%2].DropCredential(ctx, "p1", "recovery", last)
	}))
}
