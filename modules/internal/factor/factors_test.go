// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/records"
)

func TestAFactorIsNoneBeforeItWasProved(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []string{TOTP, Passkey, Mail} {
		_, err := w.BeginEnrol(t.Context(), w.at(w.ada), kind)
		w.ok("beginning "+kind, err)
		f, err := w.Factors(t.Context(), "ada")
		if w.ok("reading", err); f.Any() {
			t.Errorf("%s counts before it was proved: a person is locked out by a page closed early", kind)
		}
	}
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), TOTP)
	w.ok("beginning", err)
	finish := func(at At, p Proof) error {
		_, err := w.FinishEnrol(t.Context(), at, p, "")
		return err
	}
	right := Proof{Kind: TOTP, Code: w.code(e.Secret)}
	other := w.at(w.ada)
	other.Session = "s2"
	w.is("in another session", finish(other, right), ErrGone)
	stolen := w.at(w.bob)
	stolen.Session = "s-ada"
	w.is("for another person", finish(stolen, right), ErrGone)
	w.is("as another kind", finish(w.at(w.ada), Proof{Kind: Mail, Code: right.Code}), ErrGone)
	w.is("with a wrong code", finish(w.at(w.ada), Proof{Kind: TOTP, Code: otherThan(right.Code)}), ErrWrong)
	w.ok("with the right one", finish(w.at(w.ada), right))
	w.is("again", finish(w.at(w.ada), right), ErrGone)
	_, err = w.BeginEnrol(t.Context(), w.at(w.ada), TOTP)
	w.is("setting it up twice", err, ErrTaken)
	_, err = w.BeginEnrol(t.Context(), w.at(w.ada), Recovery)
	w.is("setting up recovery codes as a factor", err, ErrKind)
	_, err = w.BeginEnrol(t.Context(), At{Person: w.ada}, Mail)
	if err == nil {
		t.Error("a factor is set up in no session at all")
	}
}

func TestAnEnrolmentHasFiveTriesAndTenMinutes(t *testing.T) {
	w := newWorld(t)
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), TOTP)
	w.ok("beginning", err)
	for range PendingTries {
		_, err = w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: TOTP, Code: otherThan(w.code(e.Secret))}, "")
		w.is("a wrong code", err, ErrWrong)
	}
	_, err = w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: TOTP, Code: w.code(e.Secret)}, "")
	w.is("the right one too late", err, ErrTries)
	e, err = w.BeginEnrol(t.Context(), w.at(w.ada), TOTP)
	w.ok("beginning again", err)
	w.clk.Advance(PendingLifetime)
	_, err = w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: TOTP, Code: w.code(e.Secret)}, "")
	w.is("after ten minutes", err, ErrGone)
}

func TestEnrolmentDuringSignIn(t *testing.T) {
	w := newWorld(t)
	h := w.begin(w.ada, DueEnrol)
	v, err := w.View(t.Context(), h)
	w.ok("viewing", err)
	if got := v.Methods; len(got) != 3 || got[0].Kind != Passkey || got[1].Kind != TOTP || got[2].Kind != Mail {
		t.Errorf("the page offers %+v: SMS has no number yet", got)
	}
	_, err = w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: "123456"})
	w.is("proving what is not set up", err, ErrNotDue)
	_, err = w.BeginEnrolPending(t.Context(), h, "none")
	w.is("an unknown kind", err, ErrKind)
	e, err := w.BeginEnrolPending(t.Context(), h, TOTP)
	w.ok("beginning", err)
	_, _, err = w.FinishEnrolPending(t.Context(), h, Proof{}, "")
	w.is("finishing without a proof", err, ErrKind)
	_, err = w.Finish(t.Context(), h)
	w.is("finishing the sign-in", err, ErrDue)
	second := w.begin(w.ada, DueEnrol)
	_, _, err = w.FinishEnrolPending(t.Context(), second, Proof{Kind: TOTP, Code: w.code(e.Secret)}, "")
	w.is("in another tab", err, ErrGone)
	done, p, err := w.FinishEnrolPending(t.Context(), h, Proof{Kind: TOTP, Code: w.code(e.Secret)}, "phone")
	w.ok("finishing", err)
	if len(done.Recovery) != RecoveryCodes || p.Next() != "" || !slices.Equal(p.Methods, []string{"pwd", "otp"}) {
		t.Errorf("after setting up: %d recovery codes, due %q, methods %q", len(done.Recovery), p.Next(), p.Methods)
	}
	final, err := w.Finish(t.Context(), h)
	w.ok("finishing the sign-in", err)
	_, _, err = w.GrantDevice(t.Context(), final, firefox, office, "")
	w.is("trusting a device by setting up a factor", err, ErrNotDue)
	_, err = w.BeginEnrolPending(t.Context(), w.begin(w.ada, DueSecondFactor), Mail)
	w.is("setting up a factor instead of proving one", err, ErrNotDue)
}

func TestRecoveryCodes(t *testing.T) {
	w := newWorld(t)
	_, err := w.NewRecoveryCodes(t.Context(), "ada")
	w.is("codes for somebody without a factor", err, ErrKind)
	w.totp(w.ada)
	codes, err := w.NewRecoveryCodes(t.Context(), "ada")
	w.ok("drawing", err)
	seen := map[string]bool{}
	for _, c := range codes {
		if !regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$`).MatchString(c) || seen[c] {
			t.Errorf("a code is %q", c)
		}
		seen[c] = true
	}
	use := func(code string) error {
		_, err := w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: Recovery, Code: code})
		return err
	}
	w.ok("a code", use(codes[0]))
	w.is("the same again", use(codes[0]), ErrWrong)
	w.ok("one as people type it", use(" "+strings.ToUpper(strings.ReplaceAll(codes[1], "-", " "))))
	w.is("junk", use("aaaaa-aaaaa"), ErrWrong)
	w.is("nothing", use(""), ErrWrong)
	f, err := w.Factors(t.Context(), "ada")
	if w.ok("reading", err); f.RecoveryLeft != RecoveryCodes-2 {
		t.Errorf("%d codes are left", f.RecoveryLeft)
	}
	fresh, err := w.NewRecoveryCodes(t.Context(), "ada")
	w.ok("drawing again", err)
	w.is("a code of the old set", use(codes[2]), ErrWrong)
	for _, c := range fresh {
		w.ok("a code of the new set", use(c))
	}
	_, err = w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: Recovery, Code: fresh[0]})
	w.is("when none is left", err, ErrKind)
	raw, err := w.records.Credential(t.Context(), "ada", Recovery)
	w.ok("reading the row", err)
	for _, c := range fresh {
		if strings.Contains(string(raw.Secret), c) {
			t.Error("the records hold a recovery code")
		}
	}
	w.ok("removing the last factor", w.Remove(t.Context(), "ada", TOTP))
	if f, err = w.Factors(t.Context(), "ada"); err != nil || f.Recovery {
		t.Errorf("recovery codes outlive the last factor (%v)", err)
	}
}

func TestFoldRecovery(t *testing.T) {
	for in, want := range map[string]string{
		"01234-56789": "0123456789", "OIL00-abcde": "01100abcde", "": "", "0123456789x": "", "uuuuu-uuuuu": "", "0123-4567": "",
		strings.Repeat("-", 60) + "0123456789": "",
	} {
		if got, ok := foldRecovery(in); ok != (want != "") || ok && got != want {
			t.Errorf("%q is read as %q", in, got)
		}
	}
}

// Damage must not switch the second factor off.
func TestAFactorThatCannotBeReadIsAnErrorAndNotNoFactor(t *testing.T) {
	for name, spoil := range map[string]func(w *world) []byte{
		"junk":            func(*world) []byte { return []byte("junk") },
		"empty":           func(*world) []byte { return nil },
		"missing members": func(w *world) []byte { b, _ := w.vault.Seal("factor/totp", "ada", []byte(`{"serial":"x"}`)); return b },
		"unknown members": func(w *world) []byte {
			b, _ := w.vault.Seal("factor/totp", "ada", []byte(`{"serial":"x","secret":"JBSWY3DP","step":1,"added":"2030-01-01T00:00:00Z","never":true}`))
			return b
		},
		"another's": func(w *world) []byte { b, _ := w.vault.Seal("factor/totp", "bob", []byte(`{}`)); return b },
	} {
		w := newWorld(t)
		w.totp(w.ada)
		w.ok("spoiling", w.records.PutCredential(t.Context(), records.Credential{PersonID: "ada", Kind: TOTP, Secret: spoil(w)}))
		_, err := w.Factors(t.Context(), "ada")
		w.is(name, err, ErrUnreadable)
		_, err = w.Usable(t.Context(), w.ada, allof)
		w.is(name, err, ErrUnreadable)
		_, err = w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: "123456"})
		w.is(name, err, ErrUnreadable)
		_, err = w.BeginEnrolPending(t.Context(), w.begin(w.ada, DueEnrol), Mail)
		w.is(name+", setting up another", err, ErrUnreadable)
		w.ok("resetting", w.Reset(t.Context(), "ada"))
		if f, err := w.Factors(t.Context(), "ada"); err != nil || f.Any() {
			t.Errorf("%s is there after a reset (%v)", name, err)
		}
	}
}

func TestUsableKinds(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	w.totp(w.ada)
	kinds := func(m *Manager, allowed ...string) string {
		list, err := m.Usable(t.Context(), w.ada, allowed)
		w.ok("listing", err)
		var s []string
		for _, m := range list {
			s = append(s, m.Kind)
		}
		return strings.Join(s, " ")
	}
	for want, got := range map[string]string{
		"totp mail recovery": kinds(w.Manager, allof...),
		"mail recovery":      kinds(w.Manager, Mail),
		"":                   kinds(w.Manager, Passkey, SMS),
		"totp recovery":      kinds(w.gateway(func(o *Options) { o.Mail = nil }), allof...),
	} {
		if got != want {
			t.Errorf("%q can be used, want %q", got, want)
		}
	}
	if kinds(w.Manager) != "" || kinds(w.Manager, Recovery) != "" {
		t.Error("recovery codes are a way where no other factor is allowed")
	}
}

func TestRemovingAndResetting(t *testing.T) {
	w := newWorld(t)
	w.totp(w.ada)
	w.passkey(w.ada)
	w.mailFactor(w.bob)
	for _, id := range []string{"", "password", "phone", "recovery", "device/x", "passkey/x", "passkey", SMS} {
		w.is("removing "+id, w.Remove(t.Context(), "ada", id), ErrGone)
	}
	w.ok("removing TOTP", w.Remove(t.Context(), "ada", TOTP))
	f, err := w.Factors(t.Context(), "ada")
	if w.ok("reading", err); !f.Has(Passkey) || f.Has(TOTP) || !f.Recovery {
		t.Errorf("after removing TOTP: %+v", f)
	}
	w.ok("setting a password", w.records.PutCredential(t.Context(), records.Credential{PersonID: "ada", Kind: "password", Secret: []byte("x")}))
	w.ok("resetting", w.Reset(t.Context(), "ada"))
	list, err := w.records.Credentials(t.Context(), "ada")
	w.ok("listing", err)
	for _, c := range list {
		if c.Kind != "password" && c.Kind != passkeyUser {
			t.Errorf("%s is there after a reset", c.Kind)
		}
	}
	if f, err := w.Factors(t.Context(), "bob"); err != nil || !f.Has(Mail) {
		t.Errorf("bob's factor went with ada's (%v)", err)
	}
}

func TestLabels(t *testing.T) {
	for in, want := range map[string]string{
		"  my \t phone\n": "my phone", "": "", "a\x00b": "a b", "a\u202eb": "a b", "\xffa": "a",
		strings.Repeat("é", 80): strings.Repeat("é", 50),
	} {
		if got := Label(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func TestOptionsThatAreMissing(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("second factors started without stores")
	}
}

// A sign-in in which setting up a factor is due waits for up to ten minutes. Once the
// person has one, set up elsewhere, the password alone must not add another.
func TestAnEnrolmentThatIsDueEndsWithTheFirstFactor(t *testing.T) {
	w := newWorld(t)
	early := w.begin(w.ada, DueEnrol)
	_, err := w.BeginEnrolPending(t.Context(), early, Mail)
	w.ok("beginning mail", err)
	sent := w.last()
	late := w.begin(w.ada, DueEnrol)
	w.totp(w.ada)
	_, _, err = w.FinishEnrolPending(t.Context(), early, Proof{Kind: Mail, Code: sent}, "")
	w.is("finishing what was begun before there was a factor", err, ErrGone)
	_, err = w.BeginEnrolPending(t.Context(), late, Passkey)
	w.is("beginning when there is a factor", err, ErrGone)
	f, err := w.Factors(t.Context(), w.ada.ID)
	w.ok("reading", err)
	if len(f.List) != 1 || f.List[0].Kind != TOTP {
		t.Errorf("there is more than the person set up: %+v", f.List)
	}
}
