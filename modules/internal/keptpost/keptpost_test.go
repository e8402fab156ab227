// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package keptpost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

func newKeeper(t testing.TB, o Options) (*Keeper, *clock.Fake) {
	t.Helper()
	now := clock.NewFake(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	st, err := embedded.Open(context.Background(), embedded.Config{Path: t.TempDir(), Account: "a", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if o.Vault, err = vault.New(bytes.Repeat([]byte{7}, vault.KeyBytes)); err != nil {
		t.Fatal(err)
	}
	o.State, o.Clock = st, now
	return New(o), now
}

func lead() Kept {
	return Kept{
		Method: "POST", Path: "/leads/7/edit", Query: "tab=2", ContentType: "application/x-www-form-urlencoded; charset=utf-8",
		Body: []byte("name=Mona&phone=1"), PersonID: "p1", Client: netip.MustParseAddr("203.0.113.7"), SameSite: true,
	}
}

func keep(t *testing.T, k *Keeper, form Kept) (id, secret string) {
	t.Helper()
	id, secret, err := k.Keep(t.Context(), form)
	if err != nil {
		t.Fatal(err)
	}
	return id, secret
}

func TestGivenBackOnce(t *testing.T) {
	k, now := newKeeper(t, Options{})
	id, secret := keep(t, k, lead())
	want := Shown{Method: "POST", Path: "/leads/7/edit", Size: 17, Until: now.Now().Add(Lifetime)}
	for range 2 {
		if got, err := k.Show(t.Context(), id, secret); err != nil || got.Method != want.Method || got.Path != want.Path || got.Size != want.Size || !got.Until.Equal(want.Until) {
			t.Fatalf("showing it: %+v, %v", got, err)
		}
	}
	got, err := k.Take(t.Context(), id, secret, "p1")
	w := lead()
	if err != nil || got.Method != "POST" || got.Path != w.Path || got.Query != w.Query || got.ContentType != w.ContentType || !bytes.Equal(got.Body, w.Body) || got.PersonID != "p1" {
		t.Fatalf("the form came back as %+v, %v", got, err)
	}
	if _, err := k.Take(t.Context(), id, secret, "p1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a form was sent twice: %v", err)
	}
	if _, err := k.Show(t.Context(), id, secret); !errors.Is(err, ErrNotFound) {
		t.Errorf("a form that was sent is shown: %v", err)
	}

	id, secret = keep(t, k, lead())
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := k.Take(context.Background(), id, secret, "p1"); err == nil {
				taken.Add(1)
			} else if !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("a form confirmed 50 times at once was sent %d times", taken.Load())
	}
}

func TestNobodyElseGetsIt(t *testing.T) {
	k, _ := newKeeper(t, Options{})
	id, secret := keep(t, k, lead())
	otherID, otherSecret := keep(t, k, lead())
	for name, c := range map[string]struct {
		id, secret, person string
		want               error
	}{
		"another browser":         {id, otherSecret, "p1", ErrNotFound},
		"another form's id":       {otherID, secret, "p1", ErrNotFound},
		"no cookie":               {id, "", "p1", ErrNotFound},
		"no id":                   {"", secret, "p1", ErrNotFound},
		"a key of somebody else":  {"../../session/xxxxxxx", secret, "p1", ErrNotFound},
		"another person":          {id, secret, "p2", ErrPerson},
		"nobody":                  {id, secret, "", ErrPerson},
		"cookie in another case":  {id, strings.ToUpper(secret), "p1", ErrNotFound},
		"cookie with a bit added": {id, secret + "A", "p1", ErrNotFound},
	} {
		if got, err := k.Take(t.Context(), c.id, c.secret, c.person); !errors.Is(err, c.want) || len(got.Body) > 0 {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == ErrNotFound {
			if err := k.Drop(t.Context(), c.id, c.secret); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s could drop it: %v", name, err)
			}
		}
	}
	if _, err := k.Take(t.Context(), id, secret, "p1"); err != nil {
		t.Errorf("after others tried, its owner has lost it: %v", err)
	}

	form := lead()
	form.PersonID = ""
	id, secret = keep(t, k, form)
	if got, err := k.Take(t.Context(), id, secret, "p2"); err != nil || got.PersonID != "p2" {
		t.Errorf("when nobody knows whose session it was, the browser's cookie decides: %v", err)
	}
	id, secret = keep(t, k, lead())
	if err := k.Drop(t.Context(), id, secret); err != nil {
		t.Error(err)
	}
	if _, err := k.Take(t.Context(), id, secret, "p1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a form its person did not want was kept: %v", err)
	}
}

func TestItExpires(t *testing.T) {
	k, now := newKeeper(t, Options{})
	id, secret := keep(t, k, lead())
	sealed, err := k.o.State.Get(t.Context(), prefix+"form/"+id)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.Value, []byte("Mona")) || bytes.Contains(sealed.Value, []byte("leads")) {
		t.Error("the form lies open in the state")
	}
	now.Advance(Lifetime)
	// A store that is late in forgetting must not make it live longer.
	if err := k.o.State.Put(t.Context(), prefix+"form/"+id, sealed.Value, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Take(t.Context(), id, secret, "p1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a form lives for ever: %v", err)
	}
}

func TestWhatIsNotKept(t *testing.T) {
	k, _ := newKeeper(t, Options{})
	multipart, _ := newKeeper(t, Options{Multipart: true, MaxBytes: 100})
	for name, c := range map[string]struct {
		change func(*Kept)
		want   error
	}{
		"from another site":        {func(f *Kept) { f.SameSite = false }, ErrCrossSite},
		"too large":                {func(f *Kept) { f.Body = make([]byte, MaxBytes+1) }, ErrTooLarge},
		"a long target":            {func(f *Kept) { f.Query = strings.Repeat("q", maxTarget) }, ErrTooLarge},
		"GET":                      {func(f *Kept) { f.Method = "GET" }, ErrKind},
		"PUT":                      {func(f *Kept) { f.Method = "PUT" }, ErrKind},
		"lower case":               {func(f *Kept) { f.Method = "post" }, ErrKind},
		"JSON":                     {func(f *Kept) { f.ContentType = "application/json" }, ErrKind},
		"text":                     {func(f *Kept) { f.ContentType = "text/plain" }, ErrKind},
		"no type":                  {func(f *Kept) { f.ContentType = "" }, ErrKind},
		"multipart, not asked for": {func(f *Kept) { f.ContentType = "multipart/form-data; boundary=x" }, ErrKind},
		"compressed":               {func(f *Kept) { f.ContentEncoding = "gzip" }, ErrKind},
		"own page":                 {func(f *Kept) { f.Path = "/.crmgate/sign-in" }, ErrKind},
		"another host":             {func(f *Kept) { f.Path = "//evil.example" }, ErrKind},
		"backslash":                {func(f *Kept) { f.Path = `/\evil.example` }, ErrKind},
		"scheme":                   {func(f *Kept) { f.Path = "https://evil.example/" }, ErrKind},
		"line break":               {func(f *Kept) { f.Path = "/a\r\nSet-Cookie: x" }, ErrKind},
		"fragment":                 {func(f *Kept) { f.Query = "a#b" }, ErrKind},
		"query in the path":        {func(f *Kept) { f.Path = "/a?b" }, ErrKind},
	} {
		form := lead()
		c.change(&form)
		if id, _, err := k.Keep(t.Context(), form); !errors.Is(err, c.want) || id != "" {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	form := lead()
	form.Client = netip.Addr{}
	if _, _, err := k.Keep(t.Context(), form); err == nil {
		t.Error("a form of nobody")
	}
	form = lead()
	form.ContentType, form.Body = "multipart/form-data; boundary=x", make([]byte, 100)
	id, secret := keep(t, multipart, form)
	if got, err := multipart.Take(t.Context(), id, secret, "p1"); err != nil || got.ContentType != form.ContentType {
		t.Errorf("multipart, asked for: %v", err)
	}
	form.Body = make([]byte, 101)
	if _, _, err := multipart.Keep(t.Context(), form); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a bound of one's own: %v", err)
	}
	if err := multipart.Worth(lead(), 101); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a body is read that cannot be kept: %v", err)
	}
	if err := multipart.Worth(lead(), -1); err != nil {
		t.Error(err)
	}
}

func TestTheGreatestFormFitsIntoAState(t *testing.T) {
	k, _ := newKeeper(t, Options{})
	form := lead()
	form.Body = bytes.Repeat([]byte("x"), MaxBytes)
	form.Query = strings.Repeat("&", maxTarget-len(form.Path)-len(form.ContentType)-len(form.PersonID))
	id, secret := keep(t, k, form)
	e, err := k.o.State.Get(t.Context(), prefix+"form/"+id)
	if err != nil || len(e.Value) > 64<<10 {
		t.Errorf("%d bytes, %v: a state store holds 64 KiB for certain", len(e.Value), err)
	}
	if got, err := k.Take(t.Context(), id, secret, "p1"); err != nil || len(got.Body) != MaxBytes || got.Query != form.Query {
		t.Error(err)
	}
}

func TestTheStateIsNotFilled(t *testing.T) {
	k, now := newKeeper(t, Options{})
	for range PerAddress.Events {
		keep(t, k, lead())
	}
	if _, _, err := k.Keep(t.Context(), lead()); !errors.Is(err, ErrTooMany) {
		t.Errorf("one browser fills the state: %v", err)
	}
	form := lead()
	kept := PerAddress.Events
	for i := range 1000 {
		form.Client = netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i))
		if _, _, err := k.Keep(t.Context(), form); err == nil {
			kept++
		} else if !errors.Is(err, ErrTooMany) {
			t.Fatal(err)
		}
	}
	if kept > All.Events {
		t.Errorf("%d forms are kept, many addresses fill the state", kept)
	}
	now.Advance(Lifetime)
	keep(t, k, lead())
	if err := k.o.State.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Keep(t.Context(), lead()); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("without the state: %v", err)
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/a", "//b", `/\b`, "/.crmgate/x", "/%2f%2fb", "/a?b", "/a#b"} {
		f.Add(s, "q=1")
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		if target(path, query) && (path[0] != '/' || strings.HasPrefix(path, "//") || strings.ContainsAny(path+query, "\\\r\n\t #")) {
			t.Fatalf("%q ? %q would leave the host", path, query)
		}
	})
}
