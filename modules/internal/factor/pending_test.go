// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

func TestASignInWithEverythingDue(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	h := w.begin(w.ada, DueChange, DueSecondFactor) // told in any order, asked in one
	v, err := w.View(t.Context(), h)
	w.ok("viewing", err)
	if v.Next() != DueSecondFactor || v.Email != "ada@example.com" || v.TriesLeft != PendingTries ||
		!slices.Equal(v.Methods, []Method{{Kind: TOTP}, {Kind: Recovery}}) {
		t.Errorf("the page shows %+v", v)
	}
	_, err = w.Pass(t.Context(), h, DueChange)
	w.is("changing the password before the second factor", err, ErrNotDue)
	_, err = w.Pass(t.Context(), h, DueSecondFactor)
	w.is("passing the second factor by hand", err, ErrNotDue)
	_, err = w.Finish(t.Context(), h)
	w.is("finishing early", err, ErrDue)
	p, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("proving", err)
	if p.Next() != DueChange {
		t.Errorf("after the second factor %q is due", p.Next())
	}
	_, err = w.Finish(t.Context(), h)
	w.is("finishing with the password unchanged", err, ErrDue)
	_, err = w.Pass(t.Context(), h, DueChange)
	w.ok("having changed the password", err)
	done, err := w.Finish(t.Context(), h)
	w.ok("finishing", err)
	if done.PersonID != "ada" || !slices.Equal(done.Methods, []string{"pwd", "otp"}) || done.Return != "/leads" || string(done.Data) != "own" || done.Factor != TOTP {
		t.Errorf("the session would be made of %+v", done)
	}
	_, err = w.Finish(t.Context(), h)
	w.is("finishing again", err, ErrGone)
	_, err = w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.is("proving after the end", err, ErrGone)
}

// An identity provider once skipped a stage whose answer was empty.
func TestNothingIsProvedByWhatIsAbsent(t *testing.T) {
	w := newWorld(t)
	w.totp(w.ada)
	w.passkey(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	for name, p := range map[string]Proof{
		"nothing":               {},
		"a code without a kind": {Code: "123456"},
		"an unknown kind":       {Kind: "none", Code: "123456"},
		"the first factor":      {Kind: "pwd", Code: "x"},
		"a kind not set up":     {Kind: Mail, Code: "123456"},
		"an empty code":         {Kind: TOTP},
		"an empty answer":       {Kind: Passkey},
		"a null answer":         {Kind: Passkey, Response: []byte("null")},
	} {
		if _, err := w.Prove(t.Context(), h, p); err == nil {
			t.Errorf("%s proved the second factor", name)
		}
		if p, err := w.Load(t.Context(), h); err != nil || p.Next() != DueSecondFactor {
			t.Fatalf("after %s %q is due (%v)", name, p.Next(), err)
		}
	}
}

func TestWhoeverIsNotTheHolderFindsNothing(t *testing.T) {
	w := newWorld(t)
	w.totp(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	bobs := w.begin(w.bob, DueChange)
	for name, change := range map[string]func(*Holder){
		"another browser":         func(h *Holder) { h.Agent = chrome },
		"no browser":              func(h *Holder) { h.Agent = "" },
		"no secret":               func(h *Holder) { h.Secret = "" },
		"a short secret":          func(h *Holder) { h.Secret = h.Secret[:42] },
		"a long secret":           func(h *Holder) { h.Secret += "A" },
		"another secret":          func(h *Holder) { h.Secret = strings.Repeat("A", 43) },
		"the hash for the secret": func(h *Holder) { h.Secret, _ = secretHash(h.Secret); h.Secret = h.Secret[:43] },
	} {
		x := h
		change(&x)
		_, err := w.Load(t.Context(), x)
		w.is(name, err, ErrGone)
		_, err = w.Finish(t.Context(), x)
		w.is(name+" finishing", err, ErrGone)
	}
	moved := h
	moved.IP = netip.MustParseAddr("2001:db8::1")
	_, err := w.Load(t.Context(), moved)
	w.ok("a phone that changed networks", err)
	p, err := w.Load(t.Context(), bobs)
	if w.ok("another's own", err); p.PersonID != "bob" {
		t.Errorf("bob's pending sign-in is %s's", p.PersonID)
	}
}

func TestAPendingSignInCopiedToAnotherNameIsGone(t *testing.T) {
	w := newWorld(t)
	h := w.begin(w.ada, DueChange)
	hash, _ := secretHash(h.Secret)
	e, err := w.state.Get(t.Context(), pendingPrefix+hash)
	w.ok("reading", err)
	secret, err := w.random(32)
	w.ok("drawing", err)
	other, _ := secretHash(secret)
	w.ok("copying", w.state.Put(t.Context(), pendingPrefix+other, e.Value, time.Minute))
	_, err = w.Load(t.Context(), Holder{Secret: secret, Agent: firefox, IP: office})
	w.is("a pending sign-in copied in the store", err, ErrGone)
	if strings.Contains(string(e.Value), "ada") || strings.Contains(e.Key, h.Secret) {
		t.Error("the store shows who signs in, or the secret")
	}
}

func TestAPendingSignInEnds(t *testing.T) {
	for name, end := range map[string]func(*world, Holder) error{
		"after ten minutes": func(w *world, _ Holder) error { w.clk.Advance(PendingLifetime); return nil },
		"when the person is deactivated": func(w *world, _ Holder) error {
			p := w.ada
			p.Status = records.Inactive
			_, err := w.records.PutPerson(w.Context(), p)
			return err
		},
		"by cancelling":             func(w *world, h Holder) error { return w.End(w.Context(), h) },
		"by a password change":      func(w *world, _ Holder) error { _, err := w.EndPendings(w.Context(), "ada"); return err },
		"by a reset of the factors": func(w *world, _ Holder) error { return w.Reset(w.Context(), "ada") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			secret := w.totp(w.ada)
			h, bobs := w.begin(w.ada, DueSecondFactor), w.begin(w.bob, DueChange)
			w.ok("ending", end(w, h))
			_, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
			w.is("proving", err, ErrGone)
			_, err = w.Finish(t.Context(), h)
			w.is("finishing", err, ErrGone)
			if _, err := w.Load(t.Context(), bobs); name != "after ten minutes" && err != nil {
				t.Errorf("another person's sign-in ended too: %v", err)
			}
		})
	}
}

func TestFiveWrongProofsEndAPendingSignIn(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	for i := range PendingTries {
		if left, err := w.TriesLeft(t.Context(), h); err != nil || left != PendingTries-i {
			t.Errorf("after %d tries %d are left (%v)", i, left, err)
		}
		_, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: otherThan(w.code(secret))})
		w.is("a wrong code", err, ErrWrong)
	}
	_, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.is("the right code, too late", err, ErrTries)
	_, err = w.SendCode(t.Context(), h, Mail)
	w.is("another kind, too late", err, ErrTries)
	h = w.begin(w.ada, DueSecondFactor)
	_, err = w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("starting again", err)
}

// A gateway that counted by the name typed gave every spelling its own tries.
func TestWrongProofsCountForTheAccountAcrossSignIns(t *testing.T) {
	w := newWorld(t)
	throttle, err := attempts.New(w.state, attempts.Options{Name: "strict", Clock: w.clk})
	w.ok("making a throttle", err)
	m := w.gateway(func(o *Options) { o.Throttle = throttle })
	secret := w.totp(w.ada)
	var wait *WaitError
	n := 0
	for i := range 12 {
		h := w.begin(w.ada, DueSecondFactor)
		h.IP = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) // a new address each time
		_, err := m.Prove(t.Context(), h, Proof{Kind: TOTP, Code: otherThan(w.code(secret))})
		if errors.As(err, &wait) {
			break
		}
		w.is("a wrong code", err, ErrWrong)
		n++
	}
	if n != 5 {
		t.Errorf("%d wrong codes were verified over several sign-ins, the account's limit is 5", n)
	}
	_, err = m.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: w.code(secret)})
	if !errors.As(err, &wait) || !wait.Until.After(w.clk.Now()) {
		t.Errorf("while the account is banned a proof is %v", err)
	}
	w.clk.Advance(time.Hour)
	_, err = m.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("after the ban", err)
}

func TestSettingUpAFactorForgetsNoFailures(t *testing.T) {
	w := newWorld(t)
	throttle, err := attempts.New(w.state, attempts.Options{Name: "strict", Clock: w.clk})
	w.ok("making a throttle", err)
	secret := w.totp(w.ada)
	w.Manager = w.gateway(func(o *Options) { o.Throttle = throttle })
	guess := func() error {
		_, err := w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: otherThan(w.code(secret))})
		return err
	}
	for range 4 {
		w.is("guessing", guess(), ErrWrong)
	}
	w.mailFactor(w.ada)
	w.is("the last guess", guess(), ErrWrong)
	var wait *WaitError
	if err := guess(); !errors.As(err, &wait) {
		t.Errorf("after a factor was set up a sixth guess is %v: guessing goes on for ever", err)
	}
}

func TestStepUpBelongsToOneSession(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	s, _, err := w.Begin(t.Context(), Start{PersonID: "ada", Purpose: StepUp, SessionID: "s1", Due: []Due{DueSecondFactor}, Kinds: allof, Agent: firefox})
	w.ok("beginning", err)
	h := Holder{Secret: s, Agent: firefox, Session: "s1", IP: office}
	for _, session := range []string{"", "s2"} {
		x := h
		x.Session = session
		_, err := w.Prove(t.Context(), x, Proof{Kind: TOTP, Code: w.code(secret)})
		w.is("stepping up in session "+session, err, ErrGone)
	}
	_, err = w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("stepping up", err)
	done, err := w.Finish(t.Context(), h)
	if w.ok("finishing", err); done.SessionID != "s1" || done.Purpose != StepUp {
		t.Errorf("the step-up is %+v", done)
	}
	_, _, err = w.GrantDevice(t.Context(), done, firefox, office, "")
	w.is("trusting a device after a step-up", err, ErrNotDue)

	s, _, err = w.Begin(t.Context(), Start{PersonID: "ada", Purpose: StepUp, SessionID: "s1", Due: []Due{DuePassword}, Agent: firefox})
	w.ok("beginning one by password", err)
	h.Secret = s
	_, err = w.Pass(t.Context(), h, DuePassword, "pwd")
	w.ok("passing", err)
	done, err = w.Finish(t.Context(), h)
	if w.ok("finishing", err); !slices.Equal(done.Methods, []string{"pwd"}) {
		t.Errorf("the methods are %q", done.Methods)
	}
}

func TestBeginRefuses(t *testing.T) {
	w := newWorld(t)
	good := Start{PersonID: "ada", Purpose: SignIn, Due: []Due{DueChange}}
	for name, change := range map[string]func(*Start){
		"nothing due":           func(s *Start) { s.Due = nil },
		"something unknown due": func(s *Start) { s.Due = []Due{DueChange, "captcha"} },
		"something twice":       func(s *Start) { s.Due = []Due{DueChange, DueChange} },
		"nobody":                func(s *Start) { s.PersonID = "" },
		"no purpose":            func(s *Start) { s.Purpose = "" },
		"a message's purpose":   func(s *Start) { s.Purpose = Enrol },
		"step-up of nothing":    func(s *Start) { s.Purpose = StepUp },
		"sign-in of a session":  func(s *Start) { s.SessionID = "s1" },
	} {
		s := good
		change(&s)
		if _, _, err := w.Begin(t.Context(), s); err == nil {
			t.Errorf("%s was begun", name)
		}
	}
	var err error
	for range 40 {
		_, _, err = w.Begin(t.Context(), good)
	}
	if _, ok := errors.AsType[*WaitError](err); !ok {
		t.Errorf("the fortieth pending sign-in of one person is %v: whoever knows a password fills the store", err)
	}
}

func TestWithoutTheStoresNothingIsProved(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	code := w.code(secret)
	w.ok("closing the records", w.records.Close())
	_, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: code})
	w.is("proving without records", err, records.ErrUnavailable)
	w.ok("closing the state", w.state.Close())
	_, err = w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: code})
	w.is("proving without state", err, state.ErrUnavailable)
	_, err = w.Finish(t.Context(), h)
	w.is("finishing without state", err, state.ErrUnavailable)
}
