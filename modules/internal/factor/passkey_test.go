// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// assert proves ada's second factor with an authenticator.
func (w *world) assert(p records.Person, a *factortest.Authenticator) error {
	w.Helper()
	h := w.begin(p, DueSecondFactor)
	request, err := w.PasskeyRequest(w.Context(), h)
	if err != nil {
		return err
	}
	answer, err := a.Get(request)
	w.ok("answering", err)
	_, err = w.Prove(w.Context(), h, Proof{Kind: Passkey, Response: answer})
	return err
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	w.ok("the first time", w.assert(w.ada, a))
	w.ok("the second time", w.assert(w.ada, a))
	f, err := w.Factors(t.Context(), "ada")
	w.ok("listing", err)
	if i := f.List[0]; i.Label != "key" || i.Kind != Passkey || !i.Used.Equal(start) || i.BackedUp {
		t.Errorf("the list shows %+v", i)
	}
	a.Flags = factortest.Present // a second factor need not verify the user again
	w.ok("by touch alone", w.assert(w.ada, a))
	a.Flags = 0
	w.is("without anybody present", w.assert(w.ada, a), ErrWrong)
}

func TestPasskeyRefusals(t *testing.T) {
	for name, spoil := range map[string]func(*factortest.Authenticator){
		"another site":                   func(a *factortest.Authenticator) { a.Origin = "https://evil.example" },
		"a subdomain":                    func(a *factortest.Authenticator) { a.Origin = "https://x.crm.example.com" },
		"another port":                   func(a *factortest.Authenticator) { a.Origin = "https://crm.example.com:8443" },
		"without TLS":                    func(a *factortest.Authenticator) { a.Origin = "http://crm.example.com" },
		"no origin":                      func(a *factortest.Authenticator) { a.Origin = "" },
		"another key":                    func(a *factortest.Authenticator) { a.Keys[0].Private = factortest.NewPrivate() },
		"another id":                     func(a *factortest.Authenticator) { a.Keys[0].ID[0] ^= 1 },
		"another person's handle":        func(a *factortest.Authenticator) { a.Keys[0].User = bytes.Repeat([]byte{1}, 64) },
		"a backup bit that does not fit": func(a *factortest.Authenticator) { a.Flags |= factortest.Eligible },
		"backed up, not eligible":        func(a *factortest.Authenticator) { a.Flags |= factortest.BackedUp },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.passkey(w.ada)
			h := w.begin(w.ada, DueSecondFactor)
			request, err := w.PasskeyRequest(t.Context(), h)
			w.ok("asking", err)
			key := a.Keys[0]
			spoil(a)
			key.Counter++
			answer, err := a.Assert(key, factortest.Challenge(request))
			w.ok("answering", err)
			_, err = w.Prove(t.Context(), h, Proof{Kind: Passkey, Response: answer})
			w.is("proving", err, ErrWrong)
		})
	}
}

func TestAPasskeyAnswerIsOfNoUseTwiceOrElsewhere(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	zeroCounter(w, "ada")
	a.Step, a.Keys[0].Counter = 0, 0 // no counter helps
	h, other := w.begin(w.ada, DueSecondFactor), w.begin(w.ada, DueSecondFactor)
	request, err := w.PasskeyRequest(t.Context(), h)
	w.ok("asking", err)
	_, err = w.PasskeyRequest(t.Context(), other)
	w.ok("asking in another tab", err)
	answer, err := a.Get(request)
	w.ok("answering", err)
	_, err = w.Prove(t.Context(), other, Proof{Kind: Passkey, Response: answer})
	w.is("in another sign-in", err, ErrWrong)
	newer, err := w.PasskeyRequest(t.Context(), h)
	w.ok("asking again", err)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Passkey, Response: answer})
	w.is("to an older request", err, ErrWrong)
	answer, err = a.Get(newer)
	w.ok("answering", err)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Passkey, Response: answer})
	w.is("to a request a wrong answer has used up", err, ErrWrong)
	request, err = w.PasskeyRequest(t.Context(), h)
	w.ok("asking once more", err)
	answer, err = a.Get(request)
	w.ok("answering", err)
	w.clk.Advance(challengeLifetime)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Passkey, Response: answer})
	w.is("too late", err, ErrWrong)
}

func TestACounterThatGoesBackEndsThePasskeyAndSaysSo(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	w.ok("the original", w.assert(w.ada, a))
	a.Keys[0].Counter -= 2 // a copy made earlier
	err := w.assert(w.ada, a)
	var wrong *WrongError
	if !errors.As(err, &wrong) || !wrong.Cloned {
		t.Fatalf("a copy: %v", err)
	}
	a.Keys[0].Counter = 1000
	_, err = w.PasskeyRequest(t.Context(), w.begin(w.ada, DueSecondFactor))
	w.is("the passkey afterwards, whoever has it", err, ErrKind)
	f, err := w.Factors(t.Context(), "ada")
	w.ok("listing", err)
	if !f.List[0].Cloned || f.Any() {
		t.Errorf("the person is not told: %+v", f.List)
	}
	secret, request, err := w.PasskeyBegin(t.Context(), firefox, office)
	w.ok("beginning", err)
	answer, err := a.Get(request)
	w.ok("answering", err)
	_, err = w.PasskeySignIn(t.Context(), secret, firefox, answer)
	w.is("signing in with it", err, ErrWrong)
	w.ok("removing", w.Remove(t.Context(), "ada", f.List[0].ID))
}

func TestPasskeyAsFirstFactor(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	w.passkey(w.bob)
	signIn := func(change func(agent *string, answer *[]byte)) (string, error) {
		secret, request, err := w.PasskeyBegin(t.Context(), firefox, office)
		w.ok("beginning", err)
		answer, err := a.Get(request)
		w.ok("answering", err)
		agent := firefox
		if change != nil {
			change(&agent, &answer)
		}
		id, err := w.PasskeySignIn(t.Context(), secret, agent, answer)
		if _, again := w.PasskeySignIn(t.Context(), secret, firefox, answer); !errors.Is(again, ErrGone) {
			t.Errorf("the flow is there after its answer: %v", again)
		}
		return id, err
	}
	id, err := signIn(nil)
	if w.ok("signing in", err); id != "ada" {
		t.Errorf("ada's passkey signs in %q", id)
	}
	for name, want := range map[string]error{"another browser": ErrGone, "junk": ErrWrong, "huge": ErrWrong, "no handle": ErrWrong, "bob's handle": ErrWrong, "unverified": ErrWrong} {
		a.Flags = factortest.Present | factortest.Verified
		mine := a.Keys[0].User
		switch name {
		case "no handle":
			a.Keys[0].User = nil
		case "bob's handle":
			a.Keys[0].User, err = w.handle(t.Context(), "bob")
			w.ok("reading bob's handle", err)
		case "unverified":
			a.Flags = factortest.Present
		}
		id, err := signIn(func(agent *string, answer *[]byte) {
			switch name {
			case "another browser":
				*agent = chrome
			case "junk":
				*answer = []byte(`{"id":"AA","type":"public-key"}`)
			case "huge":
				*answer = bytes.Repeat([]byte(" "), MaxResponse+1)
			}
		})
		a.Keys[0].User, a.Flags = mine, factortest.Present|factortest.Verified
		if !errors.Is(err, want) || id != "" {
			t.Errorf("%s: %q, %v; want %v", name, id, err, want)
		}
	}
	secret, request, err := w.PasskeyBegin(t.Context(), firefox, office)
	w.ok("beginning", err)
	answer, err := a.Get(request)
	w.ok("answering", err)
	w.clk.Advance(challengeLifetime)
	_, err = w.PasskeySignIn(t.Context(), secret, firefox, answer)
	w.is("too late", err, ErrGone)

	p := w.ada
	p.Status = records.Inactive
	_, err = w.records.PutPerson(t.Context(), p)
	w.ok("deactivating", err)
	_, err = signIn(nil)
	w.is("somebody deactivated", err, ErrWrong)
}

func TestRegisteringAPasskey(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	if err := w.register(w.ada, a); err == nil || !strings.Contains(err.Error(), "InvalidStateError") {
		t.Errorf("the same authenticator again: %v; excludeCredentials is missing", err)
	}
	for name, spoil := range map[string]func(*factortest.Authenticator){
		"another site":         func(a *factortest.Authenticator) { a.Origin = "https://evil.example" },
		"nobody present":       func(a *factortest.Authenticator) { a.Flags = factortest.Verified },
		"backed up, not meant": func(a *factortest.Authenticator) { a.Flags |= factortest.BackedUp },
	} {
		x := factortest.New(origin)
		spoil(x)
		w.is(name, w.register(w.ada, x), ErrWrong)
	}
	synced := factortest.New(origin)
	synced.Flags |= factortest.Eligible | factortest.BackedUp
	w.ok("a synced passkey", w.register(w.ada, synced))
	f, err := w.Factors(t.Context(), "ada")
	w.ok("listing", err)
	if !slices.ContainsFunc(f.List, func(i Info) bool { return i.BackedUp }) {
		t.Error("the backup flags were lost")
	}
	for len(f.List) < MaxPasskeys {
		w.passkey(w.ada)
		f, err = w.Factors(t.Context(), "ada")
		w.ok("listing", err)
	}
	w.is("the eleventh", w.register(w.ada, factortest.New(origin)), ErrFull)
}

func TestAPasskeyOfAnotherPersonIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	steal := func() error {
		e, err := w.BeginEnrol(t.Context(), w.at(w.bob), Passkey)
		w.ok("beginning", err)
		answer, err := a.Attest(a.Keys[0], factortest.Challenge(e.Creation))
		w.ok("answering", err)
		_, err = w.FinishEnrol(t.Context(), w.at(w.bob), Proof{Kind: Passkey, Response: answer}, "")
		return err
	}
	w.is("registering ada's passkey as bob's", steal(), ErrTaken)
	f, err := w.Factors(t.Context(), "ada")
	w.ok("listing", err)
	w.ok("removing it", w.Remove(t.Context(), "ada", f.List[0].ID))
	w.ok("registering it when it is nobody's", steal())

	row, err := w.records.Credential(t.Context(), "bob", passkeyPrefix+passkeyID(a.Keys[0].ID))
	w.ok("reading bob's row", err)
	row.PersonID = "ada"
	w.ok("copying it to ada's name", w.records.PutCredential(t.Context(), row))
	_, err = w.Factors(t.Context(), "ada")
	w.is("ada's factors with a row that is bob's", err, ErrUnreadable)
}

func TestTheUserHandleSaysNothing(t *testing.T) {
	w := newWorld(t)
	a, b := w.passkey(w.ada), w.passkey(w.ada)
	if !bytes.Equal(a.Keys[0].User, b.Keys[0].User) {
		t.Error("one person has two handles: an authenticator shows him twice")
	}
	c := w.passkey(w.bob)
	if bytes.Equal(a.Keys[0].User, c.Keys[0].User) {
		t.Error("two people have one handle")
	}
	if h := a.Keys[0].User; len(h) != 64 || bytes.Contains(h, []byte("ada")) {
		t.Errorf("the handle is %q", h)
	}
	won, errs := parallel(func(int) error { _, err := w.handle(t.Context(), "bob"); return err })
	if won != 50 {
		t.Errorf("reading a handle at once: %v", errs)
	}
}

func TestHandlesDrawnAtOnceAreOne(t *testing.T) {
	w := newWorld(t)
	handles := make([][]byte, 50)
	_, errs := parallel(func(i int) (err error) { handles[i], err = w.handle(t.Context(), "ada"); return err })
	if len(errs) > 0 {
		t.Fatalf("drawing at once: %v", errs[0])
	}
	for _, h := range handles {
		if !bytes.Equal(h, handles[0]) {
			t.Fatal("two tabs that set up passkeys at once have two handles: one of the passkeys is lost")
		}
	}
}

func TestPasskeyRequestsAreWhatBrowsersTake(t *testing.T) {
	w := newWorld(t)
	w.passkey(w.ada)
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), Passkey)
	w.ok("beginning", err)
	var c struct {
		RP        struct{ ID, Name string }
		User      struct{ ID, Name string }
		Challenge string
		Exclude   []struct{ ID, Type string } `json:"excludeCredentials"`
		Params    []any                       `json:"pubKeyCredParams"`
	}
	w.ok("reading", json.Unmarshal(e.Creation, &c))
	if c.RP.ID != "crm.example.com" || c.RP.Name != "Acme CRM" || c.User.Name != "ada@example.com" || len(c.Challenge) != 43 || len(c.Exclude) != 1 || len(c.Params) == 0 {
		t.Errorf("the creation request is %s", e.Creation)
	}
	_, request, err := w.PasskeyBegin(t.Context(), firefox, office)
	w.ok("beginning", err)
	var r struct {
		RPID         string `json:"rpId"`
		Allow        []any  `json:"allowCredentials"`
		Verification string `json:"userVerification"`
	}
	w.ok("reading", json.Unmarshal(request, &r))
	if r.RPID != "crm.example.com" || len(r.Allow) != 0 || r.Verification != "required" {
		t.Errorf("the sign-in request is %s", request)
	}
}

func TestPasskeyFlowsAreBounded(t *testing.T) {
	w := newWorld(t)
	var err error
	for range 100 {
		_, _, err = w.PasskeyBegin(t.Context(), firefox, office)
	}
	if _, ok := errors.AsType[*WaitError](err); !ok {
		t.Errorf("the hundredth flow of one address: %v; anybody fills the store", err)
	}
	_, _, err = w.PasskeyBegin(t.Context(), firefox, netip.MustParseAddr("203.0.113.8"))
	w.ok("another address", err)
}

func TestOriginsThatCannotHavePasskeys(t *testing.T) {
	w := newWorld(t)
	for _, bad := range []string{"http://crm.example.com", "https://", "crm.example.com", "https://crm.example.com/", "https://u@crm.example.com", "https://crm.example.com?x", "https://192.0.2.1"} {
		if _, err := New(Options{Records: w.records, State: w.state, Vault: w.vault, Origin: bad}); err == nil {
			t.Errorf("origin %q was taken", bad)
		}
	}
	m := w.gateway(func(o *Options) { o.Origin = "" })
	_, _, err := m.PasskeyBegin(t.Context(), firefox, office)
	w.is("passkeys without an origin", err, ErrKind)
	_, err = m.BeginEnrol(t.Context(), w.at(w.ada), Passkey)
	w.is("setting one up without an origin", err, ErrKind)
}
