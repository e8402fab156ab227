// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy"
)

// enrolPaths are the forms of setting up a factor: during sign-in, or on the
// account page.
type enrolPaths struct{ Begin, Finish, Cancel string }

var (
	enrolInStep    = enrolPaths{stepBeginPath, stepFinishPath, cancelPath}
	enrolInAccount = enrolPaths{beginPath, finishPath, ""}
)

// enrolChoiceView is the page to choose what to set up.
type enrolChoiceView struct {
	base
	Email   string
	Methods []methodRow
	Paths   enrolPaths
}

// enrolView is the page to set one factor up.
type enrolView struct {
	base
	Kind, Label string
	Key         string        // totp: the secret in groups
	URI         template.URL  // totp
	QR          template.HTML // totp
	Creation    string        // passkey: JSON for navigator.credentials.create
	SentTo      string
	Again       bool // the secret was shown before and is not shown twice
	Error       string
	Paths       enrolPaths
	Back        string
}

// codesView shows recovery codes, once.
type codesView struct {
	base
	Codes []string
	Next  string // where to go on
	Added string // the factor that was just set up
}

// enrolChoice asks what to set up.
func (p *Portal) enrolChoice(w http.ResponseWriter, r *http.Request, s StepView) {
	v := enrolChoiceView{base: p.base(r, "Set up a second step"), Email: s.Email, Paths: enrolInStep}
	for _, m := range s.Methods {
		v.Methods = append(v.Methods, methodRow{Kind: m.Kind, Label: methodLabel(m), Hint: m.Hint})
	}
	p.render(w, r, http.StatusOK, pageEnrolChoice, v)
}

// enrolable are the kinds a person can set up.
var enrolable = []string{KindTOTP, KindPasskey, KindMail, KindSMS}

// beginEnrol starts setting a kind up.
func (p *Portal) beginEnrol(r *http.Request, t Ticket, kind string) (EnrolView, *Refusal) {
	if !slices.Contains(enrolable, kind) {
		return EnrolView{}, &Refusal{Reason: policy.BadRequest}
	}
	v, err := p.opts.Factors.BeginEnrol(r.Context(), t, kind)
	if err != nil {
		x := p.backendRefusal(r, err)
		return EnrolView{}, &x
	}
	return v, nil
}

// finishEnrol proves the new factor. On refusal no cookie has been set.
func (p *Portal) finishEnrol(w http.ResponseWriter, r *http.Request, t Ticket, f EnrolProof) (EnrolDone, *Refusal) {
	f.Code, f.Label = typedCode(f.Code), strings.TrimSpace(f.Label)
	code, response := f.Code != "", len(f.Response) > 0
	if !slices.Contains(enrolable, f.Kind) || len(f.Code) > maxCode || !fineLabel(f.Label) ||
		response != (f.Kind == KindPasskey) || code == response {
		return EnrolDone{}, &Refusal{Reason: policy.BadRequest}
	}
	done, err := p.opts.Factors.FinishEnrol(r.Context(), t, f)
	if err != nil {
		x := p.backendRefusal(r, err)
		if x.Reason == policy.WrongCredentials {
			x.detail = wrongProof(f.Kind)
		}
		return EnrolDone{}, &x
	}
	if done.Result == nil {
		if t.Step != "" {
			return EnrolDone{}, &Refusal{Reason: policy.Internal}
		}
		return done, nil
	}
	return done, p.accept(w, r, *done.Result)
}

// postStepBegin and postBegin start setting up, during sign-in and afterwards.
func (p *Portal) postStepBegin(w http.ResponseWriter, r *http.Request) {
	p.enrolBegin(w, r, enrolInStep)
}

func (p *Portal) postBegin(w http.ResponseWriter, r *http.Request) {
	p.enrolBegin(w, r, enrolInAccount)
}

// ticket returns the right to act on one's account that a page carries. It answers
// the request itself and returns false when there is none.
func (p *Portal) ticket(w http.ResponseWriter, r *http.Request, paths enrolPaths) (Ticket, bool) {
	if paths == enrolInStep {
		step := stepToken(r)
		if step == "" {
			p.stepOver(w, r)
		}
		return Ticket{Step: step}, step != ""
	}
	token, _, ok := p.current(w, r, asPage)
	return Ticket{Session: token}, ok
}

func (p *Portal) enrolBegin(w http.ResponseWriter, r *http.Request, paths enrolPaths) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	t, ok := p.ticket(w, r, paths)
	if !ok {
		return
	}
	view, x := p.beginEnrol(r, t, values.Get("kind"))
	if x != nil {
		p.enrolRefused(w, r, paths, *x)
		return
	}
	v := p.enrolPage(r, paths, view.Kind)
	v.Key, v.SentTo, v.Creation = groups(view.Secret, 4), view.SentTo, string(view.Creation)
	v.QR = safeSVG(view.QR)
	if strings.HasPrefix(view.URI, "otpauth://totp/") {
		v.URI = template.URL(view.URI) //nolint:gosec // the scheme was just checked; it is escaped as an attribute
	}
	p.render(w, r, http.StatusOK, pageEnrol, v)
}

func (p *Portal) enrolPage(r *http.Request, paths enrolPaths, kind string) enrolView {
	v := enrolView{
		base: p.base(r, "Set up: "+methodNames[kind]), Kind: kind, Label: methodNames[kind], Paths: paths, Back: AccountPath,
	}
	if paths == enrolInStep {
		v.Back = StepPath
	}
	return v
}

// enrolRefused shows why setting up did not go on.
func (p *Portal) enrolRefused(w http.ResponseWriter, r *http.Request, paths enrolPaths, x Refusal) {
	switch {
	case paths == enrolInStep:
		p.stepRefused(w, r, x)
	case x.Reason == policy.NoSession:
		redirect(w, r, AccountPath+"?done=over")
	default:
		p.refuseAct(w, r, x, AccountPath)
	}
}

func (p *Portal) postStepFinish(w http.ResponseWriter, r *http.Request) {
	p.enrolFinish(w, r, enrolInStep)
}

func (p *Portal) postFinish(w http.ResponseWriter, r *http.Request) {
	p.enrolFinish(w, r, enrolInAccount)
}

func (p *Portal) enrolFinish(w http.ResponseWriter, r *http.Request, paths enrolPaths) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	t, ok := p.ticket(w, r, paths)
	if !ok {
		return
	}
	kind := values.Get("kind")
	done, x := p.finishEnrol(w, r, t, EnrolProof{
		Kind: kind, Code: values.Get("code"), Response: []byte(values.Get("response")), Label: values.Get("label"),
	})
	if x != nil {
		if x.Reason == policy.WrongCredentials {
			v := p.enrolPage(r, paths, kind)
			v.Again, v.Error = true, x.detail
			v.PageTitle = "Error: " + v.PageTitle
			w.Header().Set("WWW-Authenticate", challenge)
			p.render(w, r, x.Reason.Status(), pageEnrol, v)
			return
		}
		p.enrolRefused(w, r, paths, *x)
		return
	}
	next := AccountPath + "?done=added"
	if paths == enrolInStep {
		setTrips(w.Header(), trips(r)+1)
		next = p.onwardPath(w, r, *done.Result, home)
	}
	if len(done.Recovery) == 0 {
		redirect(w, r, next)
		return
	}
	p.render(w, r, http.StatusOK, pageCodes, codesView{
		base: p.base(r, "Your recovery codes"), Codes: done.Recovery, Next: next, Added: methodNames[kind],
	})
}

// safeSVG copies a drawing that is made of shapes alone; anything else is nothing,
// and the key below it does the same work.
func safeSVG(src string) template.HTML {
	var out strings.Builder
	d := xml.NewDecoder(strings.NewReader(src))
	depth, first := 0, true
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 && !first {
			return template.HTML(out.String()) //nolint:gosec // put together here from checked parts
		}
		if err != nil {
			return ""
		}
		switch t := token.(type) {
		case xml.StartElement:
			if first != (t.Name.Local == "svg") || depth == 0 && !first || !slices.Contains(drawn, t.Name.Local) {
				return ""
			}
			first = false
			depth++
			out.WriteString("<" + t.Name.Local)
			for _, a := range t.Attr {
				if a.Name.Local == "xmlns" {
					continue
				}
				if a.Name.Space != "" || !slices.Contains(drawnBy, a.Name.Local) || strings.ContainsAny(a.Value, `"'<>&:()`) {
					return ""
				}
				out.WriteString(" " + a.Name.Local + `="` + a.Value + `"`)
			}
			out.WriteString(">")
		case xml.EndElement:
			depth--
			out.WriteString("</" + t.Name.Local + ">")
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return ""
			}
		default:
			return ""
		}
	}
}

// What a drawing may be made of.
var (
	drawn   = []string{"svg", "g", "path", "rect"}
	drawnBy = []string{
		"viewBox", "role", "aria-label", "aria-hidden", "shape-rendering", "fill", "stroke", "stroke-width", "d",
		"x", "y", "width", "height", "transform",
	}
)
