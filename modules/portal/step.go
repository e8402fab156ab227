// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// whyStepOver is what the sign-in page is told when a pending sign-in has ended.
const whyStepOver = "step_over"

// methodRow is one method on a page.
type methodRow struct {
	Kind, Label, Hint string
	URL               string // to choose it, or the provider's start
}

// stepView is the page of the second factor.
type stepView struct {
	base
	Heading, Lead string
	StepUp        bool
	Kind          string // chosen
	Label, Hint   string
	URL           string // with KindProvider
	Others        []methodRow
	CanSend, Sent bool
	SentTo        string
	ResendIn      string // "30 seconds"; "": at once
	Tries         int    // wrong tries left; 0: not shown
	TrustDays     int
	Request       string // JSON for navigator.credentials.get
	Error         string
	Wait          string
	Again         moment
	Seal          sealing
}

var methodNames = map[string]string{
	KindTOTP:     "Code from your authenticator app",
	KindPasskey:  "Passkey",
	KindMail:     "Code by e-mail",
	KindSMS:      "Code by text message",
	KindRecovery: "Recovery code",
	KindPassword: "Password",
	KindProvider: "Sign in again at your identity provider",
}

// methodLabel is what people read for a method.
func methodLabel(m Method) string {
	if m.Label != "" {
		return m.Label
	}
	return methodNames[m.Kind]
}

// stepToken returns the secret of the pending sign-in of a page.
func stepToken(r *http.Request) string { return secret(r.Header, stepCookie) }

// stepOver forgets a pending sign-in and offers a new one, or the account page to
// somebody who has a session.
func (p *Portal) stepOver(w http.ResponseWriter, r *http.Request) {
	clearStep(w.Header(), r)
	if _, err := Token(r); err == nil {
		redirect(w, r, AccountPath+"?done=unconfirmed")
		return
	}
	redirect(w, r, SignInPath+"?why="+whyStepOver)
}

// stepRefused shows a refusal of a step: over, or as it is.
func (p *Portal) stepRefused(w http.ResponseWriter, r *http.Request, x Refusal) {
	if x.Reason == policy.NoSession {
		p.stepOver(w, r)
		return
	}
	p.refuse(w, r, asPage, x)
}

// showStep shows what is due.
func (p *Portal) showStep(w http.ResponseWriter, r *http.Request) {
	p.stepPage(w, r, r.URL.Query().Get("method"), nil)
}

// stepPage shows what is due, with the error of the last try if there was one.
func (p *Portal) stepPage(w http.ResponseWriter, r *http.Request, kind string, x *Refusal) {
	step := stepToken(r)
	if step == "" {
		p.stepOver(w, r)
		return
	}
	s, err := p.opts.Steps.Step(r.Context(), step)
	if err != nil {
		p.stepRefused(w, r, p.backendRefusal(r, err))
		return
	}
	switch {
	case s.Next == NextSecondFactor:
		p.proofPage(w, r, step, s, kind, x)
	case x != nil:
		p.refuse(w, r, asPage, *x)
	case s.Next == NextEnrol && p.opts.Factors != nil:
		p.enrolChoice(w, r, s)
	case s.Next == NextChangePassword && p.opts.Passwords != nil:
		p.stepPasswordPage(w, r, s)
	default:
		p.opts.Log.ErrorContext(r.Context(), "portal: a step nobody has a page for", "next", s.Next)
		p.refuse(w, r, asPage, Refusal{Reason: policy.Internal})
	}
}

// choose returns the method of kind, else the one a code was sent by, else the
// first.
func choose(s StepView, kind string) (Method, bool) {
	for _, want := range []string{kind, s.SentKind} {
		for _, m := range s.Methods {
			if want != "" && m.Kind == want {
				return m, true
			}
		}
	}
	if len(s.Methods) == 0 {
		return Method{}, false
	}
	return s.Methods[0], true
}

// proofPage asks for one proof.
func (p *Portal) proofPage(w http.ResponseWriter, r *http.Request, step string, s StepView, kind string, x *Refusal) {
	m, ok := choose(s, kind)
	if !ok {
		p.refuse(w, r, asPage, Refusal{Reason: policy.SecondFactor})
		return
	}
	now := p.opts.Clock.Now()
	v := stepView{
		base: p.base(r, "Confirm that it is you"), Heading: "Confirm that it is you", StepUp: s.StepUp,
		Lead: "Signing in as " + s.Email, Kind: m.Kind, Label: methodLabel(m), Hint: m.Hint, TrustDays: s.TrustDays,
		Sent: s.SentKind == m.Kind, SentTo: s.SentTo, CanSend: m.Kind == KindMail || m.Kind == KindSMS,
	}
	if s.StepUp {
		v.Lead = "This protects your account before something important changes."
	}
	if s.ResendAt.After(now) {
		v.ResendIn = span(s.ResendAt.Sub(now))
	}
	if s.TriesLeft > 0 && s.TriesLeft <= 3 {
		v.Tries = s.TriesLeft
	}
	target := ReturnTarget(s.Return, host(r))
	for _, o := range s.Methods {
		row := methodRow{Kind: o.Kind, Label: methodLabel(o), Hint: o.Hint, URL: StepPath + "?method=" + o.Kind}
		if o.Kind == KindProvider && validProvider(o.Provider) {
			row.URL = freshStart(o.Provider, target)
		}
		if o.Kind == m.Kind && o.Provider == m.Provider {
			v.URL = row.URL
			continue
		}
		v.Others = append(v.Others, row)
	}
	switch m.Kind {
	case KindPasskey:
		request, err := p.opts.Steps.PasskeyChallenge(r.Context(), step)
		if err != nil {
			p.stepRefused(w, r, p.backendRefusal(r, err))
			return
		}
		v.Request = string(request)
	case KindPassword:
		e, err := p.entrances(r.Context())
		if err != nil {
			p.refuse(w, r, asPage, p.backendRefusal(r, err))
			return
		}
		v.Seal = p.sealing(e)
	}
	status := http.StatusOK
	if x != nil {
		status = p.explainStep(w, &v, *x)
	}
	p.render(w, r, status, pageStep, v)
}

// explainStep fills the error part and returns the status.
func (p *Portal) explainStep(w http.ResponseWriter, v *stepView, x Refusal) int {
	p.retryHeader(w.Header(), &x)
	v.Error = x.Reason.Text()
	if x.detail != "" {
		v.Error = x.detail
	}
	if x.RetryAfter > 0 {
		v.Wait, v.Again = span(x.RetryAfter), at(p.opts.Clock.Now().Add(x.RetryAfter))
	}
	if x.Reason.Status() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	v.PageTitle = "Error: " + v.PageTitle
	return x.Reason.Status()
}

// wrongProof says what was wrong in words that fit the kind.
func wrongProof(kind string) string {
	switch kind {
	case KindPasskey:
		return "The passkey was not accepted."
	case KindPassword:
		return "The password is not right."
	case KindRecovery:
		return "The recovery code is not right, or was used already."
	}
	return "The code is not right, or is no longer valid."
}

// complete says whether a proof has what its kind needs, and nothing else.
func (f FactorProof) complete() bool {
	code, response := f.Code != "", len(f.Response) > 0
	secret := f.Password != "" || f.Sealed != ""
	switch f.Kind {
	case KindTOTP, KindMail, KindSMS, KindRecovery:
		return code && len(f.Code) <= maxCode && !response && !secret
	case KindPasskey:
		return response && !code && !secret
	case KindPassword:
		return finePassword(f.Password, f.Sealed) && !code && !response
	}
	return false
}

// prove gives one proof. On refusal no cookie has been set.
func (p *Portal) prove(w http.ResponseWriter, r *http.Request, step string, f FactorProof) (SignInResult, *Refusal) {
	f.Code = typedCode(f.Code)
	if !f.complete() {
		return SignInResult{}, &Refusal{Reason: policy.BadRequest, detail: "Enter the code."}
	}
	if f.Kind == KindPassword {
		if x := p.checkSealing(r, f.Password, f.Sealed); x != nil {
			return SignInResult{}, x
		}
	}
	res, err := p.opts.Steps.Prove(r.Context(), step, f)
	if err != nil {
		x := p.backendRefusal(r, err)
		if x.Reason == policy.WrongCredentials {
			x.detail = wrongProof(f.Kind)
		}
		return SignInResult{}, &x
	}
	return res, p.accept(w, r, res)
}

// postStep takes the form of one proof.
func (p *Portal) postStep(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	step := stepToken(r)
	if step == "" {
		p.stepOver(w, r)
		return
	}
	f := FactorProof{
		Kind: values.Get("kind"), Code: values.Get("code"), Response: []byte(values.Get("response")),
		Password: values.Get("password"), Sealed: values.Get("sealed"), Trust: values.Get("trust") == "on",
	}
	res, x := p.prove(w, r, step, f)
	if x == nil {
		p.goOn(w, r, res, home)
		return
	}
	switch x.Reason {
	case policy.WrongCredentials, policy.Throttled, policy.BadRequest:
		p.stepPage(w, r, f.Kind, x)
	default:
		p.stepRefused(w, r, *x)
	}
}

// postSend sends a code and shows the field for it.
func (p *Portal) postSend(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	kind := values.Get("kind")
	x := p.send(r, stepToken(r), kind)
	switch {
	case x == nil:
		redirect(w, r, StepPath+"?method="+kind)
	case x.Reason == policy.Throttled:
		p.stepPage(w, r, kind, x)
	default:
		p.stepRefused(w, r, *x)
	}
}

// send has a code sent.
func (p *Portal) send(r *http.Request, step, kind string) *Refusal {
	if step == "" {
		return &Refusal{Reason: policy.NoSession}
	}
	if !slices.Contains([]string{KindMail, KindSMS}, kind) {
		return &Refusal{Reason: policy.BadRequest}
	}
	if err := p.opts.Steps.SendCode(r.Context(), step, kind); err != nil {
		x := p.backendRefusal(r, err)
		return &x
	}
	return nil
}

// postCancel ends a pending sign-in or step-up.
func (p *Portal) postCancel(w http.ResponseWriter, r *http.Request) {
	if step := stepToken(r); step != "" {
		if err := p.opts.Steps.Cancel(r.Context(), step); err != nil {
			if x := p.backendRefusal(r, err); x.Reason != policy.NoSession {
				p.refuse(w, r, asPage, x)
				return
			}
		}
	}
	clearStep(w.Header(), r)
	if _, err := Token(r); err == nil {
		redirect(w, r, AccountPath)
		return
	}
	redirect(w, r, SignInPath)
}

// groups puts blanks into a long key or code, so that people can read it.
func groups(s string, n int) string {
	var b strings.Builder
	for i, c := range s {
		if i > 0 && i%n == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// stepJSON is what is due, for programs.
type stepJSON struct {
	Next      string       `json:"next"`
	StepUp    bool         `json:"step_up,omitzero"`
	Email     string       `json:"email,omitzero"`
	Methods   []methodJSON `json:"methods"`
	SentKind  string       `json:"sent,omitzero"`
	SentTo    string       `json:"sent_to,omitzero"`
	SentAt    string       `json:"sent_at,omitzero"`
	ResendAt  string       `json:"resend_at,omitzero"`
	TriesLeft int          `json:"tries_left"`
	Expires   string       `json:"expires,omitzero"`
	TrustDays int          `json:"trust_days,omitzero"`
	Why       string       `json:"why,omitzero"`
	Now       string       `json:"now"`
}

type methodJSON struct {
	Kind     string `json:"kind"`
	Label    string `json:"label"`
	Hint     string `json:"hint,omitzero"`
	Provider string `json:"provider,omitzero"`
}

func methodsJSON(all []Method) []methodJSON {
	out := make([]methodJSON, 0, len(all))
	for _, m := range all {
		out = append(out, methodJSON{m.Kind, methodLabel(m), m.Hint, m.Provider})
	}
	return out
}

func stepToJSON(s StepView, now time.Time) stepJSON {
	return stepJSON{
		Next: s.Next, StepUp: s.StepUp, Email: s.Email, Methods: methodsJSON(s.Methods),
		SentKind: s.SentKind, SentTo: s.SentTo, SentAt: at(s.SentAt).ISO, ResendAt: at(s.ResendAt).ISO,
		TriesLeft: s.TriesLeft, Expires: at(s.Expires).ISO, TrustDays: s.TrustDays, Why: s.Why, Now: at(now).ISO,
	}
}
