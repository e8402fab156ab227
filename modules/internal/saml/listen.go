// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"errors"
	"net/http"
	"slices"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Listen serves "metadata" (the gate's own, for the provider) and "slo" (single
// logout, both bindings).
func (p *Provider) Listen(w http.ResponseWriter, r *http.Request, env signin.Env, path string, host signin.Host) bool {
	switch path {
	case "metadata":
		p.serveMetadata(w, r, env)
	case "slo":
		p.serveLogout(w, r, env, host)
	default:
		return false
	}
	return true
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	for _, m := range methods {
		w.Header().Add("Allow", m)
	}
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}

func (p *Provider) serveMetadata(w http.ResponseWriter, r *http.Request, env signin.Env) {
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	k, err := p.pair(r.Context(), env)
	if err != nil {
		p.fail(w, env, "making the metadata", err)
		return
	}
	doc, err := document(p.metadata(env, k))
	if err != nil {
		p.fail(w, env, "making the metadata", err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Content-Disposition", `attachment; filename="crmgate-`+p.cfg.Name+`.xml"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(doc)
}

// metadata describes the gate (SAML metadata §2.4.4). It is made element by
// element: the library's type cannot leave validUntil away, and metadata that
// ends by itself would end the sign-in of everybody who imported it from a file.
func (p *Provider) metadata(env signin.Env, k *keyPair) *etree.Element {
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", nsMetadata)
	root.CreateAttr("xmlns:ds", nsSignature)
	root.CreateAttr("entityID", p.ownEntityID(env))
	sp := root.CreateElement("md:SPSSODescriptor")
	sp.CreateAttr("AuthnRequestsSigned", "true")
	sp.CreateAttr("WantAssertionsSigned", "true")
	sp.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, use := range []string{"signing", "encryption"} {
		d := sp.CreateElement("md:KeyDescriptor")
		d.CreateAttr("use", use)
		d.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(k.certificate())
		if use == "encryption" {
			for _, alg := range []string{nsEncrypt11 + "aes256-gcm", nsEncrypt11 + "aes128-gcm", nsEncrypt + "aes256-cbc", nsEncrypt + "aes128-cbc", nsEncrypt + "rsa-oaep-mgf1p"} {
				d.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", alg)
			}
		}
	}
	for _, b := range []string{crewjam.HTTPRedirectBinding, crewjam.HTTPPostBinding} {
		e := sp.CreateElement("md:SingleLogoutService")
		e.CreateAttr("Binding", b)
		e.CreateAttr("Location", p.url(env, "slo"))
	}
	if f := p.cfg.NameIDFormat; f != "" {
		sp.CreateElement("md:NameIDFormat").SetText(f)
	}
	acs := sp.CreateElement("md:AssertionConsumerService")
	acs.CreateAttr("Binding", crewjam.HTTPPostBinding)
	acs.CreateAttr("Location", p.url(env, "acs"))
	acs.CreateAttr("index", "0")
	acs.CreateAttr("isDefault", "true")
	return root
}

func (p *Provider) serveLogout(w http.ResponseWriter, r *http.Request, env signin.Env, host signin.Host) {
	w.Header().Set("Cache-Control", "no-store")
	if !allow(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	ctx := r.Context()
	m, idp, err := p.readLogout(ctx, env, r)
	if err != nil {
		p.fail(w, env, "reading a logout message", err)
		return
	}
	if is(m.root, nsProtocol, "LogoutResponse") {
		// What the provider answers to a request of ours. Its status is not asked:
		// the person is signed out here whatever became of it there.
		if _, err := env.State.Take(ctx, p.logoutKey(attr(m.root, "InResponseTo"))); err != nil {
			if errors.Is(err, state.ErrNotFound) {
				err = signin.Denied("the logout response answers no request of this gate, or was presented before")
			}
			p.fail(w, env, "reading a logout response", err)
			return
		}
		http.Redirect(w, r, env.Origin+signin.SSOPath(p.cfg.Name, "signed-out"), http.StatusSeeOther)
		return
	}
	err = p.endSessions(ctx, env, m, idp, host)
	if denied := (*signin.DeniedError)(nil); errors.As(err, &denied) {
		p.fail(w, env, "reading a logout request", err)
		return
	}
	if err != nil && env.Log != nil {
		env.Log.Error("a logout request of the identity provider was not obeyed", "provider", p.cfg.Name, "error", err)
	}
	next, err := p.answerLogout(ctx, env, m, idp, err == nil)
	if err != nil {
		p.fail(w, env, "answering a logout request", err)
		return
	}
	if err := sso.WriteNext(w, next); err != nil {
		p.fail(w, env, "answering a logout request", err)
	}
}

// fail answers in a generic sentence and logs why.
func (p *Provider) fail(w http.ResponseWriter, env signin.Env, doing string, err error) {
	status := http.StatusServiceUnavailable
	if denied := (*signin.DeniedError)(nil); errors.As(err, &denied) {
		status = http.StatusForbidden
	}
	if env.Log != nil {
		env.Log.Warn("SAML: "+doing, "provider", p.cfg.Name, "error", err)
	}
	http.Error(w, http.StatusText(status), status)
}
