// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/crmgate/crmgate/policy"
)

const (
	testStep   = "st3pSecret_0123456789-abcdefghijklmnopqrstuv"
	otherStep  = "st3pOther__0123456789-abcdefghijklmnopqrstuv"
	testDevice = "d1.dev1ceSecret_0123456789-abcdefghijklmnopq"
	testKept   = "k1.keptSecret_0123456789-abcdefghijklmnopqrs"
	testFlow   = "flow.0123456789-abcdefghijklmnopqrstuvwxyz"
	testLink   = "l1nk_0123456789-abcdefghijklmnopqrstuvwxyzAB"
	testCode   = "492817"
	testSealed = "eyJh.e30..aXY.Y3Q.dGFn"
	testSecret = "JBSWY3DPEHPK3PXP"
	testQR     = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" role="img" aria-label="QR code" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h9v9H0z"/><path fill="#000" d="M4 4h1v1H4z"/></svg>`
)

// fakeEntry is what is open; err is what every method answers when set.
type fakeEntry struct {
	open   Entrances
	err    error
	keyErr error
	result SignInResult
	leave  Onward
	begun  int
	seen   PasskeyRequest
	calls  int
}

func (f *fakeEntry) Entrances(context.Context) (Entrances, error) { return f.open, f.err }

func (f *fakeEntry) PasswordKey(context.Context) (PasswordKey, error) {
	return PasswordKey{JSON: []byte(`{"kid":"k"}`), Expires: testNow.Add(time.Minute)}, f.keyErr
}

func (f *fakeEntry) BeginPasskey(context.Context) (string, []byte, error) {
	f.begun++
	return testFlow, []byte(`{"challenge":"AAAA"}`), f.keyErr
}

func (f *fakeEntry) SignInPasskey(_ context.Context, req PasskeyRequest) (SignInResult, error) {
	f.seen = req
	f.calls++
	return f.result, f.keyErr
}

func (f *fakeEntry) LeaveNext(context.Context, string) (Onward, error) { return f.leave, f.keyErr }

// fakeSteps knows one pending sign-in, testStep.
type fakeSteps struct {
	view      StepView
	err       error // of Step
	proveErr  error
	sendErr   error
	upErr     error
	result    SignInResult
	proofs    []FactorProof
	sent      []string
	cancelled int
	ups       []string // targets
}

func (f *fakeSteps) known(step string) error {
	if step != testStep {
		return &Refusal{Reason: policy.NoSession}
	}
	return f.err
}

func (f *fakeSteps) Step(_ context.Context, step string) (StepView, error) {
	return f.view, f.known(step)
}

func (f *fakeSteps) SendCode(_ context.Context, step, kind string) error {
	if err := f.known(step); err != nil {
		return err
	}
	if f.sendErr == nil {
		f.sent = append(f.sent, kind)
	}
	return f.sendErr
}

func (f *fakeSteps) PasskeyChallenge(_ context.Context, step string) ([]byte, error) {
	return []byte(`{"challenge":"AA\"><script>"}`), f.known(step)
}

func (f *fakeSteps) Prove(_ context.Context, step string, p FactorProof) (SignInResult, error) {
	f.proofs = append(f.proofs, p)
	if err := f.known(step); err != nil {
		return SignInResult{}, err
	}
	return f.result, f.proveErr
}

func (f *fakeSteps) Cancel(_ context.Context, step string) error {
	f.cancelled++
	return f.known(step)
}

func (f *fakeSteps) StepUp(_ context.Context, _, target string) (string, error) {
	f.ups = append(f.ups, target)
	return testStep, f.upErr
}

// fakeFactors has one authenticator app and one trusted device.
type fakeFactors struct {
	view    FactorsView
	err     error // of acts
	listErr error
	enrol   EnrolView
	done    EnrolDone
	acts    []string
	tickets []Ticket
}

func (f *fakeFactors) act(what string) error {
	if f.err == nil {
		f.acts = append(f.acts, what)
	}
	return f.err
}

func (f *fakeFactors) Factors(_ context.Context, t Ticket) (FactorsView, error) {
	f.tickets = append(f.tickets, t)
	return f.view, f.listErr
}

func (f *fakeFactors) BeginEnrol(_ context.Context, t Ticket, kind string) (EnrolView, error) {
	f.tickets = append(f.tickets, t)
	v := f.enrol
	v.Kind = kind
	return v, f.act("begin " + kind)
}

func (f *fakeFactors) FinishEnrol(_ context.Context, t Ticket, p EnrolProof) (EnrolDone, error) {
	f.tickets = append(f.tickets, t)
	return f.done, f.act("finish " + p.Kind + " " + p.Code + string(p.Response) + " " + p.Label)
}

func (f *fakeFactors) RemoveFactor(_ context.Context, _, id string) error {
	return f.act("remove " + id)
}

func (f *fakeFactors) NewRecoveryCodes(context.Context, string) ([]string, error) {
	return []string{"7K3M-Q9TZ", "XW2P-44HN"}, f.act("recovery")
}

func (f *fakeFactors) Devices(_ context.Context, _, device string) ([]DeviceView, error) {
	return []DeviceView{{
		ID: "dev7", Label: `Work <laptop>`, UserAgent: "Mozilla/5.0 (X11; Linux) Firefox/140.0", IP: "203.0.113.7",
		Since: testNow.Add(-time.Hour), Ends: testNow.Add(24 * time.Hour), Current: device == testDevice,
	}}, f.listErr
}

func (f *fakeFactors) RenameDevice(_ context.Context, _, id, label string) error {
	return f.act("rename " + id + " " + label)
}

func (f *fakeFactors) RevokeDevice(_ context.Context, _, id string) error {
	return f.act("revoke " + id)
}

// fakePasswords takes any password but "weak".
type fakePasswords struct {
	err     error
	result  SignInResult
	changes []PasswordChange
	tickets []Ticket
	links   []string
	forgot  []string
	checked []string
}

var testRules = []Rule{{Text: "At least 12 characters.", Kind: "min_length", N: 12}, {Text: "None of your last ones.", Kind: "history", N: 3}}

func (f *fakePasswords) Rules(context.Context) ([]Rule, error) { return testRules, nil }

func (f *fakePasswords) CheckPassword(_ context.Context, t Ticket, password string) (PasswordCheck, error) {
	f.tickets = append(f.tickets, t)
	f.checked = append(f.checked, password)
	return PasswordCheck{Score: 3, Rules: []Rule{{Text: testRules[0].Text, Kind: "min_length", N: 12, Met: true}}}, f.err
}

func (f *fakePasswords) weak(c PasswordChange) error {
	if c.New == "weak" {
		rules := []Rule{testRules[0], testRules[1]}
		rules[1].Met = true
		return &WeakPassword{Rules: rules}
	}
	return f.err
}

func (f *fakePasswords) ChangePassword(_ context.Context, t Ticket, c PasswordChange) (SignInResult, error) {
	f.tickets = append(f.tickets, t)
	f.changes = append(f.changes, c)
	return f.result, f.weak(c)
}

func (f *fakePasswords) Forgot(_ context.Context, email string) error {
	f.forgot = append(f.forgot, email)
	return f.err
}

func (f *fakePasswords) ResetPassword(_ context.Context, link string, c PasswordChange) error {
	f.links = append(f.links, link)
	f.changes = append(f.changes, c)
	if link != testLink {
		return &Refusal{Reason: policy.NoSession}
	}
	return f.weak(c)
}

// fakeKept keeps one form.
type fakeKept struct {
	sent, dropped int
	err           error
}

func (f *fakeKept) Kept(_ context.Context, _, value string) (KeptPost, error) {
	if value != testKept {
		return KeptPost{}, &Refusal{Reason: policy.NoSession}
	}
	return KeptPost{Path: "/leads/<b>", Size: 1840}, f.err
}

func (f *fakeKept) SendKept(w http.ResponseWriter, _ *http.Request, _, value string) error {
	if value != testKept {
		return &Refusal{Reason: policy.NoSession}
	}
	if f.err != nil {
		return f.err
	}
	f.sent++
	w.Header().Set("X-From", "crm")
	_, _ = w.Write([]byte("saved"))
	return nil
}

func (f *fakeKept) DropKept(context.Context, string) error {
	f.dropped++
	return f.err
}

// world is a portal with everything switched on.
type world struct {
	*Portal
	backend   *fakeBackend
	entry     *fakeEntry
	steps     *fakeSteps
	factors   *fakeFactors
	passwords *fakePasswords
	kept      *fakeKept
	sso       int
	ssoSeen   *http.Request
}

func newWorld() *world {
	b := newFake()
	ok := SignInResult{Token: otherToken, Session: b.all[1]}
	w := &world{
		backend: b,
		entry: &fakeEntry{result: ok, open: Entrances{
			Password: true, Passkey: true, Forgot: true,
			Providers: []Provider{{Name: "google", Label: "Google"}, {Name: "adfs", Label: "ADFS <Inc>"}},
		}},
		steps: &fakeSteps{result: ok, view: StepView{
			Next: NextSecondFactor, Email: testEmail, TriesLeft: 5, TrustDays: 30, Return: "/leads",
			Methods: []Method{{Kind: KindTOTP}, {Kind: KindMail, Hint: "a…@example.com"}, {Kind: KindPasskey}, {Kind: KindRecovery}},
		}},
		factors: &fakeFactors{
			view: FactorsView{
				Factors: []FactorView{{ID: "f1", Kind: KindTOTP, Label: "My <phone>", Added: testNow.Add(-time.Hour)}},
				Addable: []Method{{Kind: KindPasskey}, {Kind: KindMail, Hint: "a…@example.com"}}, Recovery: true, RecoveryLeft: 7, DevicesOn: true,
			},
			enrol: EnrolView{Secret: testSecret, URI: "otpauth://totp/Example:ann?secret=" + testSecret, QR: testQR},
		},
		passwords: &fakePasswords{result: ok},
		kept:      &fakeKept{},
	}
	w.Portal = w.portal()
	return w
}

// portal makes a portal of what w holds now.
func (w *world) portal() *Portal {
	o := newPortal(w.backend).opts
	o.Entry, o.Steps, o.Factors, o.Passwords, o.Kept = w.entry, w.steps, w.factors, w.passwords, w.kept
	o.SSO = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.sso++
		w.ssoSeen = r
		rw.WriteHeader(http.StatusNoContent)
	})
	return New(o)
}

// deeds counts everything that changes something.
func (w *world) deeds() int {
	return w.backend.signIns + len(w.backend.signedOut) + len(w.backend.ended) + w.backend.others + w.entry.calls + w.entry.begun +
		len(w.steps.proofs) + len(w.steps.sent) + w.steps.cancelled + len(w.steps.ups) + len(w.factors.acts) +
		len(w.passwords.changes) + len(w.passwords.forgot) + len(w.passwords.checked) + w.kept.sent + w.kept.dropped + w.sso
}

// cookies joins cookie pairs for a Cookie header.
func cookies(pairs ...string) string {
	s := ""
	for i := 0; i+1 < len(pairs); i += 2 {
		if s != "" {
			s += "; "
		}
		s += pairs[i] + "=" + pairs[i+1]
	}
	return s
}

// with returns the headers of a window that carries cookies.
func with(pairs ...string) map[string]string {
	h := map[string]string{"Cookie": cookies(pairs...)}
	maps.Copy(h, browser)
	return h
}
