// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // thumbprints as certificate dialogs show them
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
)

// idp is what is known of the provider. Nothing in it ever changes.
type idp struct {
	entityID string
	sso      map[Binding]string
	slo      map[Binding]sloEndpoint
	certs    []*x509.Certificate // believed: in the metadata and, with pins, pinned
	until    time.Time           // zero: without end
	read     time.Time           // when the metadata was read; zero: at the start
}

type sloEndpoint struct{ request, response string }

// thumbprint is the hash of a certificate, SHA-1 (20 bytes) or SHA-256 (32).
type thumbprint string

// parseThumbprint takes hex in any case, with spaces, colons and the invisible
// mark that copying from a Windows dialog brings along.
func parseThumbprint(s string) (thumbprint, error) {
	h := strings.Map(func(r rune) rune {
		if r == ':' || r == '-' || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
	b, err := hex.DecodeString(h)
	if err != nil || len(b) != sha1.Size && len(b) != sha256.Size {
		return "", fmt.Errorf("%q is no thumbprint: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits are", clip(s))
	}
	return thumbprint(b), nil
}

func parseThumbprints(list []string) ([]thumbprint, error) {
	var out []thumbprint
	for _, s := range list {
		t, err := parseThumbprint(s)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func pinned(c *x509.Certificate, pins []thumbprint) bool {
	short, long := sha1.Sum(c.Raw), sha256.Sum256(c.Raw) //nolint:gosec // as AD FS shows a thumbprint
	return len(pins) == 0 || slices.Contains(pins, thumbprint(short[:])) || slices.Contains(pins, thumbprint(long[:]))
}

// metadataRules is what is asked of metadata.
type metadataRules struct {
	entityID string
	pins     []thumbprint // of the certificates that sign answers
	signedBy []thumbprint // of the certificate that signs the metadata
	now      time.Time    // for the validity of that certificate
}

// parseMetadata reads metadata and refuses what could not sign anybody in: no
// entity or several, no sign-in address, no certificate that is believed.
func parseMetadata(b []byte, rules metadataRules) (*idp, error) {
	root, err := parse(b, metadataBounds)
	if err != nil {
		return nil, err
	}
	if len(rules.signedBy) > 0 {
		if root, err = verifyMetadata(root, rules); err != nil {
			return nil, err
		}
	}
	entity, until, err := findEntity(root, rules.entityID)
	if err != nil {
		return nil, err
	}
	p := &idp{entityID: attr(entity, "entityID"), sso: map[Binding]string{}, slo: map[Binding]sloEndpoint{}, until: until}
	if p.entityID == "" {
		return nil, errors.New("the entity has no entityID")
	}
	role := one(entity, nsMetadata, "IDPSSODescriptor")
	if role == nil {
		return nil, fmt.Errorf("%s has not exactly one IDPSSODescriptor: it is no SAML identity provider", clip(p.entityID))
	}
	if err := p.limit(role); err != nil {
		return nil, err
	}
	for _, e := range all(role, nsMetadata, "SingleSignOnService") {
		b, ok := bindingOf(e)
		if _, have := p.sso[b]; ok && !have {
			if p.sso[b], err = endpoint(attr(e, "Location")); err != nil {
				return nil, err
			}
		}
	}
	if len(p.sso) == 0 {
		return nil, errors.New("it offers sign-in by neither redirect nor POST")
	}
	if err := p.logoutEndpoints(role); err != nil {
		return nil, err
	}
	p.certs, err = signingCertificates(role, rules.pins)
	return p, err
}

func (p *idp) logoutEndpoints(role *etree.Element) (err error) {
	for _, e := range all(role, nsMetadata, "SingleLogoutService") {
		b, ok := bindingOf(e)
		if _, have := p.slo[b]; !ok || have {
			continue
		}
		var s sloEndpoint
		if s.request, err = endpoint(attr(e, "Location")); err != nil {
			return err
		}
		s.response = s.request
		if r := attr(e, "ResponseLocation"); r != "" {
			if s.response, err = endpoint(r); err != nil {
				return err
			}
		}
		p.slo[b] = s
	}
	return nil
}

// limit brings until forward to the validUntil of an element.
func (p *idp) limit(el *etree.Element) error {
	t, err := instant(el, "validUntil")
	if err == nil && !t.IsZero() && (p.until.IsZero() || t.Before(p.until)) {
		p.until = t
	}
	return err
}

func findEntity(root *etree.Element, want string) (*etree.Element, time.Time, error) {
	list := []*etree.Element{root}
	if is(root, nsMetadata, "EntitiesDescriptor") {
		list = all(root, nsMetadata, "EntityDescriptor")
	}
	list = slices.DeleteFunc(list, func(e *etree.Element) bool {
		return !is(e, nsMetadata, "EntityDescriptor") || want != "" && attr(e, "entityID") != want
	})
	switch {
	case len(list) == 0 && want != "":
		return nil, time.Time{}, fmt.Errorf("it does not describe the entity %q", want)
	case len(list) == 0:
		return nil, time.Time{}, errors.New("it is no SAML 2.0 metadata")
	case len(list) > 1:
		return nil, time.Time{}, errors.New("it describes several entities; say which one with entity_id")
	}
	var p idp
	for _, el := range []*etree.Element{root, list[0]} {
		if err := p.limit(el); err != nil {
			return nil, time.Time{}, err
		}
	}
	return list[0], p.until, nil
}

func bindingOf(e *etree.Element) (Binding, bool) {
	switch attr(e, "Binding") {
	case crewjam.HTTPRedirectBinding:
		return BindingRedirect, true
	case crewjam.HTTPPostBinding:
		return BindingPOST, true
	}
	return "", false
}

// endpoint takes an absolute http or https address without anything that could
// make it another one.
func endpoint(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("the endpoint %q is no web address", clip(s))
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return "", fmt.Errorf("the endpoint %q is not https", clip(s))
	}
	return s, nil
}

// signingCertificates are those whose use is signing or not said.
func signingCertificates(role *etree.Element, pins []thumbprint) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	found := 0
	for _, k := range all(role, nsMetadata, "KeyDescriptor") {
		if use := attr(k, "use"); use != "" && use != "signing" {
			continue
		}
		for _, d := range all(one(k, nsSignature, "KeyInfo"), nsSignature, "X509Data") {
			for _, e := range all(d, nsSignature, "X509Certificate") {
				c, err := certificate(e)
				if err != nil {
					return nil, err
				}
				found++
				if strong(c) && pinned(c, pins) && !slices.ContainsFunc(out, c.Equal) {
					out = append(out, c)
				}
			}
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case found > 0 && len(pins) > 0:
		return nil, errors.New("none of its signing certificates has a pinned thumbprint")
	case found > 0:
		return nil, fmt.Errorf("none of its signing certificates is RSA of at least %d bits", minKeyBits)
	}
	return nil, errors.New("it holds no signing certificate")
}

func strong(c *x509.Certificate) bool {
	k, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && k.N.BitLen() >= minKeyBits
}

func certificate(el *etree.Element) (*x509.Certificate, error) {
	var data strings.Builder
	for _, c := range el.Child { // comments are dropped, metadata may hold them
		if cd, ok := c.(*etree.CharData); ok {
			data.WriteString(cd.Data)
		}
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data.String()), ""))
	if err != nil {
		return nil, errors.New("a certificate is no base64")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("a certificate cannot be read")
	}
	return c, nil
}

// verifyMetadata checks the signature over the whole document against the
// certificate it brings along, once that one is known by its thumbprint.
func verifyMetadata(root *etree.Element, rules metadataRules) (*etree.Element, error) {
	sig := signatureOf(root)
	c := one(one(one(sig, nsSignature, "KeyInfo"), nsSignature, "X509Data"), nsSignature, "X509Certificate")
	if c == nil {
		return nil, errors.New("it is not signed, or its signature names no certificate")
	}
	cert, err := certificate(c)
	if err != nil {
		return nil, err
	}
	if !strong(cert) || !pinned(cert, rules.signedBy) {
		return nil, errors.New("it is signed by a certificate whose thumbprint is not pinned")
	}
	return verify(root, []*x509.Certificate{cert}, rules.now)
}
