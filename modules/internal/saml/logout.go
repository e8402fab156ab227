// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// logoutLife is how long a logout request of the gate may be answered.
const logoutLife = 5 * time.Minute

// Leave sends the browser to the provider's logout with a signed request. A
// provider without one, and a sign-in without a name identifier (a logout names
// the person by nothing else), need nothing.
func (p *Provider) Leave(ctx context.Context, env signin.Env, g signin.Grant) (signin.Next, error) {
	if len(g.Data) == 0 {
		return signin.Next{}, nil
	}
	var name nameID
	if err := json.Unmarshal(g.Data, &name); err != nil {
		return signin.Next{}, errors.New("what was kept of the sign-in cannot be read")
	}
	now := env.Clock.Now().UTC()
	idp, err := p.idp.get(now, env.Log)
	if err != nil {
		return signin.Next{}, err
	}
	b, to, ok := idp.logout()
	if !ok {
		return signin.Next{}, nil
	}
	k, err := p.pair(ctx, env)
	if err != nil {
		return signin.Next{}, err
	}
	id, err := newID(env)
	if err != nil {
		return signin.Next{}, err
	}
	if err := env.State.Put(ctx, p.logoutKey(id), nil, logoutLife); err != nil {
		return signin.Next{}, fmt.Errorf("keeping the logout request: %w", err)
	}
	end := now.Add(logoutLife)
	req := crewjam.LogoutRequest{
		ID: id, Version: "2.0", IssueInstant: now, NotOnOrAfter: &end, Destination: to.request,
		Issuer: &crewjam.Issuer{Value: p.ownEntityID(env)},
		NameID: &crewjam.NameID{Value: name.Value, Format: name.Format, NameQualifier: name.NameQualifier, SPNameQualifier: name.SPNameQualifier},
	}
	if g.Session != "" {
		req.SessionIndex = &crewjam.SessionIndex{Value: g.Session}
	}
	next, err := send(b, to.request, "SAMLRequest", "", k, func(sig *etree.Element) *etree.Element {
		req.Signature = sig
		return req.Element()
	})
	if err != nil {
		return signin.Next{}, fmt.Errorf("making the logout request: %w", err)
	}
	return next, nil
}

func (p *Provider) logoutKey(id string) string { return "saml/" + p.cfg.Name + "/logout/" + id }

// logout is the way to the provider's logout; redirect before POST.
func (p *idp) logout() (Binding, sloEndpoint, bool) {
	for _, b := range []Binding{BindingRedirect, BindingPOST} {
		if e, ok := p.slo[b]; ok {
			return b, e, true
		}
	}
	return "", sloEndpoint{}, false
}

// logoutMessage is a message to the logout endpoint whose signature was verified.
type logoutMessage struct {
	root  *etree.Element // what the signature covers
	relay string
	post  bool
}

// readLogout takes a logout message by either binding. Without a signature by the
// provider there is no message: anybody could sign anybody out.
func (p *Provider) readLogout(ctx context.Context, env signin.Env, r *http.Request) (*logoutMessage, *idp, error) {
	idp, err := p.idp.get(env.Clock.Now().UTC(), env.Log)
	if err != nil {
		return nil, nil, err
	}
	m, err := parseLogout(r, idp, env)
	if errors.Is(err, errSigner) {
		if again, changed := p.idp.unknownSigner(idp, env.Clock.Now().UTC()); changed {
			idp = again
			m, err = parseLogout(r, idp, env)
		}
	}
	if err == nil {
		err = p.checkLogout(env, m, idp)
	}
	if err != nil {
		return nil, nil, signin.Denied("the logout message is refused: " + err.Error())
	}
	return m, idp, nil
}

func parseLogout(r *http.Request, idp *idp, env signin.Env) (*logoutMessage, error) {
	if r.Method == http.MethodPost {
		return parseLogoutPOST(r, idp, env)
	}
	red, err := parseRedirect(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if err := red.verify(idp, env); err != nil {
		return nil, err
	}
	root, err := parse(red.doc, messageBounds)
	if err != nil {
		return nil, err
	}
	if is(root, nsProtocol, "LogoutRequest") != red.isRequest {
		return nil, errors.New("it is another message than its parameter says")
	}
	return &logoutMessage{root: root, relay: red.relay}, layout(root, map[string]bool{})
}

func parseLogoutPOST(r *http.Request, idp *idp, env signin.Env) (*logoutMessage, error) {
	if err := postForm(r); err != nil {
		return nil, err
	}
	req, res := r.PostForm.Get("SAMLRequest"), r.PostForm.Get("SAMLResponse")
	if (req == "") == (res == "") {
		return nil, errors.New("it holds not exactly one message")
	}
	doc, err := decodePOST(req + res)
	if err != nil {
		return nil, err
	}
	root, err := parse(doc, messageBounds)
	if err != nil {
		return nil, err
	}
	if err := layout(root, map[string]bool{}); err != nil {
		return nil, err
	}
	if is(root, nsProtocol, "LogoutRequest") != (req != "") {
		return nil, errors.New("it is another message than its parameter says")
	}
	signed, err := verify(root, idp.certs, env.Clock.Now().UTC())
	if err != nil {
		return nil, err
	}
	return &logoutMessage{root: signed, relay: r.PostForm.Get("RelayState"), post: true}, nil
}

func (p *Provider) checkLogout(env signin.Env, m *logoutMessage, idp *idp) error {
	now := env.Clock.Now().UTC()
	rd := &reader{issuer: idp.entityID, now: now, skew: p.cfg.Skew}
	if !is(m.root, nsProtocol, "LogoutRequest") && !is(m.root, nsProtocol, "LogoutResponse") {
		return errors.New("it is neither a logout request nor a response")
	}
	if attr(m.root, "Version") != "2.0" || !idOK.MatchString(attr(m.root, "ID")) {
		return errors.New("it is not SAML 2.0")
	}
	if d := attr(m.root, "Destination"); d != p.url(env, "slo") {
		return fmt.Errorf("its Destination is %q, not this gate", clip(d))
	}
	issuer := one(m.root, nsAssertion, "Issuer")
	if issuer == nil {
		return errors.New("it names no issuer")
	}
	if err := rd.issued(issuer); err != nil {
		return err
	}
	if err := rd.fresh(m.root); err != nil {
		return err
	}
	_, err := rd.within(m.root)
	return err
}

// endSessions does what a logout request asks: the sessions of the person that
// carry one of the session indexes, all of them when it names none.
func (p *Provider) endSessions(ctx context.Context, env signin.Env, m *logoutMessage, idp *idp, host signin.Host) error {
	name := one(m.root, nsAssertion, "NameID")
	value, err := text(name)
	if err != nil || value == "" {
		return signin.Denied("the logout request does not name the person in a way that is understood")
	}
	var sessions []string
	for _, e := range all(m.root, nsProtocol, "SessionIndex") {
		index, err := text(e)
		if err != nil || index == "" {
			return signin.Denied("a session index is empty or no text")
		}
		sessions = append(sessions, index)
	}
	if len(sessions) == 0 {
		sessions = []string{""}
	}
	if err := p.once(ctx, env, "logout-request", idp.entityID, attr(m.root, "ID"), env.Clock.Now().Add(maxAge+p.cfg.Skew)); err != nil {
		return err
	}
	for _, s := range sessions {
		if _, err := host.EndSessions(ctx, p.cfg.Name, value, s); err != nil {
			return fmt.Errorf("ending sessions: %w", err)
		}
	}
	return nil
}

// answerLogout makes the signed response to a logout request.
func (p *Provider) answerLogout(ctx context.Context, env signin.Env, m *logoutMessage, idp *idp, ended bool) (signin.Next, error) {
	b, to, ok := idp.logout()
	if e, has := idp.slo[BindingPOST]; m.post && has {
		b, to = BindingPOST, e
	}
	if !ok {
		return signin.Next{}, errors.New("the provider's metadata does not say where it takes logout responses")
	}
	k, err := p.pair(ctx, env)
	if err != nil {
		return signin.Next{}, err
	}
	id, err := newID(env)
	if err != nil {
		return signin.Next{}, err
	}
	status := crewjam.StatusSuccess
	if !ended {
		status = crewjam.StatusResponder
	}
	res := crewjam.LogoutResponse{
		ID: id, InResponseTo: attr(m.root, "ID"), Version: "2.0", IssueInstant: env.Clock.Now().UTC(), Destination: to.response,
		Issuer: &crewjam.Issuer{Value: p.ownEntityID(env)},
		Status: crewjam.Status{StatusCode: crewjam.StatusCode{Value: status}},
	}
	return send(b, to.response, "SAMLResponse", m.relay, k, func(sig *etree.Element) *etree.Element {
		res.Signature = sig
		return res.Element()
	})
}
