// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// kept is what Finish must know of Begin.
type kept struct {
	Request string    `json:"request"` // the ID the answer must name
	Sent    time.Time `json:"sent"`
	Fresh   bool      `json:"fresh,omitempty"`
}

// newID returns an unguessable XML ID.
func newID(env signin.Env) (string, error) {
	from := env.Random
	if from == nil {
		from = rand.Reader
	}
	b := make([]byte, 20)
	if _, err := io.ReadFull(from, b); err != nil {
		return "", fmt.Errorf("making an ID: %w", err)
	}
	return "_" + hex.EncodeToString(b), nil
}

// Begin sends the browser to the provider with a signed request. The login hint
// stays here: SAML has no place for one that does not bind the answer to it.
func (p *Provider) Begin(ctx context.Context, env signin.Env, flow signin.Flow) (signin.Next, []byte, error) {
	now := env.Clock.Now().UTC()
	idp, err := p.idp.get(now, env.Log)
	if err != nil {
		return signin.Next{}, nil, err
	}
	k, err := p.pair(ctx, env)
	if err != nil {
		return signin.Next{}, nil, err
	}
	b := p.binding(idp)
	if idp.sso[b] == "" {
		return signin.Next{}, nil, fmt.Errorf("the provider's metadata offers no sign-in by %s", b)
	}
	id, err := newID(env)
	if err != nil {
		return signin.Next{}, nil, err
	}
	create := true
	req := crewjam.AuthnRequest{
		ID: id, Version: "2.0", IssueInstant: now, Destination: idp.sso[b],
		Issuer:                      &crewjam.Issuer{Value: p.ownEntityID(env)},
		NameIDPolicy:                &crewjam.NameIDPolicy{AllowCreate: &create},
		AssertionConsumerServiceURL: p.url(env, "acs"),
		ProtocolBinding:             crewjam.HTTPPostBinding,
	}
	if f := p.cfg.NameIDFormat; f != "" && f != FormatUnspecified {
		req.NameIDPolicy.Format = &f
	}
	if flow.Fresh {
		req.ForceAuthn = &flow.Fresh
	}
	next, err := send(b, idp.sso[b], "SAMLRequest", flow.ID, k, func(sig *etree.Element) *etree.Element {
		req.Signature = sig
		return req.Element()
	})
	if err != nil {
		return signin.Next{}, nil, fmt.Errorf("making the SAML request: %w", err)
	}
	data, err := json.Marshal(kept{Request: id, Sent: now, Fresh: flow.Fresh})
	return next, data, err
}

// binding is how a request travels to this provider.
func (p *Provider) binding(idp *idp) Binding {
	switch {
	case p.cfg.Binding != BindingAny:
		return p.cfg.Binding
	case idp.sso[BindingRedirect] != "":
		return BindingRedirect
	}
	return BindingPOST
}

var flowID = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// FlowID reads the relay state. One that cannot be a flow's id is a provider's
// own and means that it began the sign-in by itself.
func (p *Provider) FlowID(r *http.Request) (string, error) {
	if r.Method != http.MethodPost {
		return "", errors.New("an answer comes by POST")
	}
	if err := postForm(r); err != nil {
		return "", err
	}
	if relay := r.PostForm.Get("RelayState"); flowID.MatchString(relay) {
		return relay, nil
	}
	return "", nil
}

// Finish reads an answer of the POST binding.
func (p *Provider) Finish(ctx context.Context, env signin.Env, r *http.Request, data []byte) (signin.Proof, error) {
	var k kept
	switch {
	case data == nil && !p.cfg.IDPInitiated:
		return signin.Proof{}, signin.Denied("the provider began this sign-in by itself, which is switched off (idp_initiated)")
	case data != nil:
		if err := json.Unmarshal(data, &k); err != nil || k.Request == "" {
			return signin.Proof{}, errors.New("what was kept of the sign-in cannot be read")
		}
	}
	if r.Method != http.MethodPost {
		return signin.Proof{}, signin.Denied("the answer did not come by POST")
	}
	if err := postForm(r); err != nil {
		return signin.Proof{}, signin.Denied(err.Error())
	}
	doc, err := decodePOST(r.PostForm.Get("SAMLResponse"))
	if err != nil {
		return signin.Proof{}, signin.Denied("the answer is refused: " + err.Error())
	}
	a, idp, err := p.readResponse(ctx, env, doc, k.Request)
	if err != nil {
		return signin.Proof{}, err
	}
	return p.proof(ctx, env, idp, a, k)
}

// readResponse verifies an answer; when nobody known signed it, once more with
// metadata read again.
func (p *Provider) readResponse(ctx context.Context, env signin.Env, doc []byte, request string) (*assertion, *idp, error) {
	now := env.Clock.Now().UTC()
	idp, err := p.idp.get(now, env.Log)
	if err != nil {
		return nil, nil, err
	}
	own, err := p.pair(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	rd := &reader{
		acs: p.url(env, "acs"), audience: p.ownEntityID(env), issuer: idp.entityID, request: request,
		now: now, skew: p.cfg.Skew, certs: idp.certs, key: own.key,
	}
	a, err := rd.response(doc)
	if errors.Is(err, errSigner) {
		if again, changed := p.idp.unknownSigner(idp, now); changed {
			idp, rd.certs = again, again.certs
			a, err = rd.response(doc)
		}
	}
	if err != nil {
		return nil, nil, signin.Denied("the answer is refused: " + err.Error())
	}
	return a, idp, nil
}

func (p *Provider) proof(ctx context.Context, env signin.Env, idp *idp, a *assertion, k kept) (signin.Proof, error) {
	if k.Fresh && a.authn.Before(k.Sent.Add(-p.cfg.Skew)) {
		return signin.Proof{}, signin.Denied("the provider was asked to prove the person again and did not")
	}
	email, err := a.email(p.cfg.EmailAttributes)
	if err != nil {
		return signin.Proof{}, signin.Denied(err.Error())
	}
	if err := p.once(ctx, env, "assertion", idp.entityID, a.id, a.until); err != nil {
		return signin.Proof{}, err
	}
	subject := a.name.Value
	if subject == "" {
		subject = email
	}
	grant := signin.Grant{Provider: p.cfg.Name, Subject: subject, Session: a.index}
	if a.name.Value != "" {
		if grant.Data, err = json.Marshal(a.name); err != nil {
			return signin.Proof{}, err
		}
	}
	return signin.Proof{Email: email, Subject: subject, Methods: a.methods(), AuthTime: a.authn, Grant: grant}, nil
}

// once remembers a message until it can no longer be presented; the second one is
// denied. A store that cannot remember is an error.
func (p *Provider) once(ctx context.Context, env signin.Env, kind, issuer, id string, until time.Time) error {
	ttl := until.Add(p.cfg.Skew).Sub(env.Clock.Now()) + time.Second
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d:%s%s", len(issuer), issuer, id)
	fresh, err := env.State.PutNew(ctx, "saml/"+p.cfg.Name+"/"+kind+"/"+base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil, max(ttl, time.Second))
	if err != nil {
		return fmt.Errorf("remembering the message: %w", err)
	}
	if !fresh {
		return signin.Denied("the message was presented before")
	}
	return nil
}
