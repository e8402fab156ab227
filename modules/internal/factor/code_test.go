// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

func TestMailCode(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	_, err := w.Prove(t.Context(), h, Proof{Kind: Mail, Code: "000000"})
	w.is("proving before a code was sent", err, ErrWrong)
	resend, err := w.SendCode(t.Context(), h, Mail)
	w.ok("sending", err)
	if want := w.clk.Now().Add(30 * time.Second); !resend.Equal(want) {
		t.Errorf("the next code can be sent at %v, want %v", resend, want)
	}
	msg := w.sent[len(w.sent)-1]
	if msg.To != "ada@example.com" || msg.Purpose != SignIn || msg.IP != office || msg.Agent != "Firefox on Windows" || !msg.At.Equal(w.clk.Now()) {
		t.Errorf("the message is %+v: a person must see where a code was asked for", msg)
	}
	v, err := w.View(t.Context(), h)
	if w.ok("viewing", err); v.Sent != Mail || !v.ResendAt.Equal(resend) || v.Methods[0].Hint != "a***@example.com" {
		t.Errorf("the page shows %+v", v)
	}
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: otherThan(w.last())})
	w.is("a wrong code", err, ErrWrong)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: w.last()})
	w.ok("the right code after a wrong one", err)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: w.last()})
	w.is("the code again", err, ErrNotDue)
}

func TestACodeIsOfNoUseElsewhere(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	w.mailFactor(w.bob)
	h := w.begin(w.ada, DueSecondFactor)
	_, err := w.SendCode(t.Context(), h, Mail)
	w.ok("sending", err)
	code := w.last()

	second := w.begin(w.ada, DueSecondFactor)
	_, err = w.Prove(t.Context(), second, Proof{Kind: Mail, Code: code})
	w.is("the code of another tab without one of its own", err, ErrWrong)
	w.clk.Advance(30 * time.Second)
	_, err = w.SendCode(t.Context(), second, Mail)
	w.ok("sending", err)
	if w.last() != code {
		_, err = w.Prove(t.Context(), second, Proof{Kind: Mail, Code: code})
		w.is("the code of another tab", err, ErrWrong)
	}
	_, err = w.Prove(t.Context(), w.begin(w.bob, DueSecondFactor), Proof{Kind: Mail, Code: code})
	w.is("another person's code", err, ErrWrong)
	step, _, err := w.Begin(t.Context(), Start{PersonID: "ada", Purpose: StepUp, SessionID: "s", Due: []Due{DueSecondFactor}, Kinds: allof, Agent: firefox})
	w.ok("beginning a step-up", err)
	_, err = w.Prove(t.Context(), Holder{Secret: step, Agent: firefox, Session: "s", IP: office}, Proof{Kind: Mail, Code: code})
	w.is("a sign-in's code for a step-up", err, ErrWrong)
	_, err = w.Prove(t.Context(), h, Proof{Kind: SMS, Code: code})
	w.is("a mailed code as SMS", err, ErrKind)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: code})
	w.ok("where it belongs", err)
}

func TestACodeEnds(t *testing.T) {
	for name, end := range map[string]func(*world, Holder){
		"with its lifetime": func(w *world, _ Holder) { w.clk.Advance(5 * time.Minute) },
		"with a new code": func(w *world, h Holder) {
			for old := w.last(); w.last() == old; { // one in a million is the same again
				w.clk.Advance(30 * time.Second)
				_, err := w.SendCode(w.Context(), h, Mail)
				w.ok("sending again", err)
			}
		},
		"with its tries": func(w *world, h Holder) {
			for range w.settings.Tries {
				_, err := w.Prove(w.Context(), h, Proof{Kind: Mail, Code: otherThan(w.last())})
				w.is("a wrong code", err, ErrWrong)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settings.Tries = 2
			w.mailFactor(w.ada)
			h := w.begin(w.ada, DueSecondFactor)
			_, err := w.SendCode(t.Context(), h, Mail)
			w.ok("sending", err)
			code := w.last()
			end(w, h)
			_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: code})
			w.is("the old code", err, ErrWrong)
		})
	}
}

func TestTheResendGapIsThePersons(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	h, other := w.begin(w.ada, DueSecondFactor), w.begin(w.ada, DueSecondFactor)
	_, err := w.SendCode(t.Context(), h, Mail)
	w.ok("sending", err)
	sent := len(w.sent)
	var wait *WaitError
	for _, x := range []Holder{h, other} {
		w.clk.Advance(10 * time.Second)
		_, err = w.SendCode(t.Context(), x, Mail)
		if !errors.As(err, &wait) || !wait.Until.Equal(start.Add(time.Minute+30*time.Second)) {
			t.Errorf("within the gap: %v", err)
		}
	}
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: w.last()})
	w.ok("the first code, after the refusals", err)
	if len(w.sent) != sent {
		t.Errorf("%d messages were sent within the gap", len(w.sent)-sent)
	}
	w.clk.Advance(10 * time.Second)
	_, err = w.SendCode(t.Context(), other, Mail)
	w.ok("after the gap", err)
}

func TestAPersonIsSentTwentyCodesAnHour(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	before := len(w.sent)
	for range 60 {
		w.clk.Advance(30 * time.Second)
		_, _ = w.SendCode(t.Context(), w.begin(w.ada, DueSecondFactor), Mail)
		w.clk.Advance(10 * time.Second)
	}
	if n := len(w.sent) - before; n > 35 {
		t.Errorf("%d codes in 40 minutes: somebody with a password fills the mailbox", n)
	}
}

func TestACodeThatCouldNotBeSentIsSaid(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	w.mailErr = errors.New("relay refused")
	_, err := w.SendCode(t.Context(), w.begin(w.ada, DueSecondFactor), Mail)
	w.is("sending", err, ErrSend)
}

func TestNoCodeIsStoredOrPrinted(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	_, err := w.SendCode(t.Context(), h, Mail)
	w.ok("sending", err)
	code := w.last()
	w.ok("reading the store", w.state.List(t.Context(), "", func(e state.Entry) bool {
		if bytes.Contains(e.Value, []byte(code)) || strings.Contains(e.Key, code) {
			t.Errorf("the store shows the code under %s", e.Key)
		}
		return true
	}))
	r, _, _, err := w.load(t.Context(), h)
	w.ok("loading", err)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: "999999"})
	for _, shown := range []string{fmt.Sprintf("%+v", r), fmt.Sprintf("%+v %v", *r.Code, err), fmt.Sprintf("%+v", w.sent)} {
		if strings.Contains(shown, code) || strings.Contains(shown, "999999") {
			t.Error("a code can end up in a log")
		}
	}
}

func TestDrawDigitsIsFair(t *testing.T) {
	seen := map[string]int{}
	src := &counting{}
	for range 20000 {
		d, err := drawDigits(src)
		if err != nil {
			t.Fatal(err)
		}
		if len(d) != 6 {
			t.Fatalf("%q has not six digits", d)
		}
		seen[d[:1]]++
	}
	for d := range 10 {
		if n := seen[fmt.Sprint(d)]; n < 1800 || n > 2200 {
			t.Errorf("of 20000 codes %d begin with %d", n, d)
		}
	}
	if _, err := drawDigits(bytes.NewReader(bytes.Repeat([]byte{0xff}, 128*4))); err == nil {
		t.Error("a random source that is broken gives codes")
	}
	if _, err := drawDigits(bytes.NewReader(nil)); err == nil {
		t.Error("an empty random source gives codes")
	}
}

// counting is a random source that repeats: a step through all values.
type counting struct{ n uint32 }

func (c *counting) Read(b []byte) (int, error) {
	for i := 0; i+3 < len(b); i += 4 {
		c.n += 2654435761
		b[i], b[i+1], b[i+2], b[i+3] = byte(c.n>>24), byte(c.n>>16), byte(c.n>>8), byte(c.n)
	}
	return len(b), nil
}

func TestSMSGoesToTheNumberAnAdminSet(t *testing.T) {
	w := newWorld(t)
	_, err := w.BeginEnrol(t.Context(), w.at(w.ada), SMS)
	w.is("setting up SMS without a number", err, ErrKind)
	w.ok("setting a number", w.SetPhone(t.Context(), "ada", "+441632960961"))
	usable, err := w.Usable(t.Context(), w.ada, allof)
	if w.ok("listing", err); len(usable) != 0 {
		t.Errorf("a number nobody proved is a factor: %v", usable)
	}
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), SMS)
	w.ok("beginning", err)
	if e.SentTo != "***61" || w.sent[0].To != "+441632960961" {
		t.Errorf("the code went to %s, shown as %s", w.sent[0].To, e.SentTo)
	}
	_, err = w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: SMS, Code: w.last()}, "")
	w.ok("finishing", err)
	w.clk.Advance(time.Minute)
	h := w.begin(w.ada, DueSecondFactor)
	_, err = w.SendCode(t.Context(), h, SMS)
	w.ok("sending", err)
	p, err := w.Prove(t.Context(), h, Proof{Kind: SMS, Code: w.last()})
	if w.ok("proving", err); p.Methods[1] != "sms" {
		t.Errorf("the methods are %q", p.Methods)
	}

	w.ok("setting another number", w.SetPhone(t.Context(), "ada", "+441632960962"))
	f, err := w.Factors(t.Context(), "ada")
	if w.ok("reading", err); f.Has(SMS) {
		t.Error("a number that was never proved took over the factor")
	}
	w.clk.Advance(time.Minute)
	_, err = w.BeginEnrol(t.Context(), w.at(w.ada), SMS)
	w.ok("proving the new number", err)
	_, err = w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: SMS, Code: w.last()}, "")
	w.ok("finishing", err)
	for _, bad := range []string{"441632960961", "+0441632960", "+44 1632 960961", "+1234567", "+1234567890123456", "+44163296096a", "tel:+441632960961"} {
		if w.SetPhone(t.Context(), "ada", bad) == nil {
			t.Errorf("%q was taken as a number", bad)
		}
	}
	w.ok("removing the number", w.SetPhone(t.Context(), "ada", ""))
	f, err = w.Factors(t.Context(), "ada")
	if w.ok("reading", err); f.Any() {
		t.Error("SMS is a factor without a number")
	}
}
