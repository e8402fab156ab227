// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
)

// maxAge is how long ago an answer may have been issued. What the assertion says
// about its own end holds as well.
const maxAge = 10 * time.Minute

const methodBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

// reader reads one answer. It holds all the answer is compared with.
type reader struct {
	acs      string
	audience string
	issuer   string
	request  string // the ID of the request that was sent; "": none was
	now      time.Time
	skew     time.Duration
	certs    []*x509.Certificate
	key      *rsa.PrivateKey
}

// assertion is what a verified assertion says.
type assertion struct {
	id      string
	until   time.Time // when it can no longer be presented
	name    nameID
	index   string
	authn   time.Time
	context string
	attrs   map[string][]string
}

// nameID is a person's name at the provider.
type nameID struct {
	Value           string `json:"value"`
	Format          string `json:"format,omitempty"`
	NameQualifier   string `json:"nq,omitempty"`
	SPNameQualifier string `json:"spnq,omitempty"`
}

// response reads an answer. Every error says why it must not be believed; errSigner
// is among them when other certificates could change that.
func (r *reader) response(doc []byte) (*assertion, error) {
	root, err := parse(doc, messageBounds)
	if err != nil {
		return nil, err
	}
	if !is(root, nsProtocol, "Response") {
		return nil, errors.New("it is no SAML 2.0 response")
	}
	parts, err := mixedShape(root, responseNamespace, "Issuer?", "Signature?", "Status", "Assertion?", "EncryptedAssertion?")
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	if err := layout(root, ids); err != nil {
		return nil, err
	}
	if err := r.envelope(root, parts); err != nil {
		return nil, err
	}
	plain, encrypted := parts["Assertion"], parts["EncryptedAssertion"]
	if (plain == nil) == (encrypted == nil) {
		return nil, errors.New("it holds not exactly one assertion")
	}
	signed := parts["Signature"] != nil
	var covered *etree.Element // the response as the signature covers it
	if signed {
		if covered, err = verify(root, r.certs, r.now); err != nil {
			return nil, fmt.Errorf("the response: %w", err)
		}
	}
	if encrypted != nil {
		if signed {
			encrypted = one(covered, nsAssertion, "EncryptedAssertion")
		}
		return r.encrypted(encrypted, signed, ids)
	}
	if signatureOf(plain) != nil {
		// Verified where it stands: namespaces the response declares for it may be
		// gone from the response's canonical form.
		return r.signedAssertion(plain)
	}
	if !signed {
		return nil, errors.New("neither the response nor the assertion is signed")
	}
	return r.assertion(one(covered, nsAssertion, "Assertion"))
}

func responseNamespace(name string) string {
	switch name {
	case "Status":
		return nsProtocol
	case "Signature":
		return nsSignature
	}
	return nsAssertion
}

func (r *reader) encrypted(el *etree.Element, signed bool, ids map[string]bool) (*assertion, error) {
	if el == nil {
		return nil, errors.New("the signature covers something else")
	}
	plain, err := decrypt(el, r.key)
	if err != nil {
		return nil, err
	}
	a, err := parse(plain, messageBounds)
	if err != nil {
		return nil, fmt.Errorf("the decrypted assertion: %w", err)
	}
	if !is(a, nsAssertion, "Assertion") {
		return nil, errors.New("what was encrypted is no assertion")
	}
	if err := layout(a, ids); err != nil {
		return nil, err
	}
	switch {
	case signatureOf(a) != nil:
		return r.signedAssertion(a)
	case signed:
		return r.assertion(a)
	}
	return nil, errors.New("neither the response nor the assertion is signed")
}

func (r *reader) signedAssertion(el *etree.Element) (*assertion, error) {
	a, err := verify(el, r.certs, r.now)
	if err != nil {
		return nil, fmt.Errorf("the assertion: %w", err)
	}
	return r.assertion(a)
}

// layout refuses a document in which anything could be taken for something else:
// an assertion, a response or a signature at another place than theirs, and an
// ID that is there twice. ids are those of the document so far.
func layout(root *etree.Element, ids map[string]bool) error {
	var walk func(el *etree.Element) error
	walk = func(el *etree.Element) error {
		own := 0
		for _, a := range el.Attr {
			if !strings.EqualFold(a.Key, "id") || a.Space == "xmlns" {
				continue
			}
			own++
			if a.Value == "" || ids[a.Value] || own > 1 {
				return errors.New("an ID is there twice, or empty")
			}
			ids[a.Value] = true
		}
		parent := el.Parent()
		top := el == root
		switch el.Tag {
		case "Response", "LogoutRequest", "LogoutResponse":
			if !top {
				return fmt.Errorf("it holds a %s inside", el.Tag)
			}
		case "Assertion", "EncryptedAssertion":
			if !top && parent != root {
				return fmt.Errorf("an %s is at a place where none may be", el.Tag)
			}
		case "Signature":
			ofAssertion := is(parent, nsAssertion, "Assertion") && (parent == root || parent.Parent() == root)
			if top || parent != root && !ofAssertion || len(all(parent, nsSignature, "Signature")) != 1 {
				return errors.New("a signature is at a place where none may be")
			}
		}
		for _, c := range el.ChildElements() {
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(root)
}

// envelope checks the response around the assertion. When the response is not
// signed it proves nothing, and the assertion repeats all of it.
func (r *reader) envelope(root *etree.Element, parts map[string]*etree.Element) error {
	if attr(root, "Version") != "2.0" {
		return errors.New("it is not SAML 2.0")
	}
	if attr(root, "Destination") != r.acs {
		return fmt.Errorf("its Destination is %q, not this gate", clip(attr(root, "Destination")))
	}
	if err := r.answers(root); err != nil {
		return err
	}
	if err := r.fresh(root); err != nil {
		return err
	}
	if parts["Issuer"] != nil {
		if err := r.issued(parts["Issuer"]); err != nil {
			return err
		}
	}
	return checkStatus(parts["Status"])
}

func checkStatus(status *etree.Element) error {
	code := one(status, nsProtocol, "StatusCode")
	if attr(code, "Value") == crewjam.StatusSuccess {
		return nil
	}
	message, err := text(one(status, nsProtocol, "StatusMessage"))
	if err != nil {
		return err
	}
	say := "the provider says " + clip(lastPart(attr(code, "Value")))
	if inner := one(code, nsProtocol, "StatusCode"); inner != nil {
		say += ", " + clip(lastPart(attr(inner, "Value")))
	}
	if message != "" {
		say += ": " + clip(message)
	}
	return errors.New(say)
}

func lastPart(urn string) string { return urn[strings.LastIndexByte(urn, ':')+1:] }

// answers checks that an element answers the request that was sent, or none.
func (r *reader) answers(el *etree.Element) error {
	switch got := attr(el, "InResponseTo"); {
	case got == r.request:
		return nil
	case r.request == "":
		return errors.New("it answers a request, but none is known")
	default:
		return errors.New("it answers another request")
	}
}

func (r *reader) fresh(el *etree.Element) error {
	at, err := instant(el, "IssueInstant")
	switch {
	case err != nil:
		return err
	case at.IsZero() || at.After(r.now.Add(r.skew)):
		return errors.New("it was issued in the future; the clocks differ")
	case at.Before(r.now.Add(-maxAge - r.skew)):
		return errors.New("it was issued too long ago")
	}
	return nil
}

func (r *reader) issued(issuer *etree.Element) error {
	by, err := text(issuer)
	if err != nil {
		return err
	}
	if f := attr(issuer, "Format"); by != r.issuer || f != "" && f != "urn:oasis:names:tc:SAML:2.0:nameid-format:entity" {
		return fmt.Errorf("it was issued by %q, not by the provider", clip(by))
	}
	return nil
}

// assertion reads what verify returned, and nothing else.
func (r *reader) assertion(el *etree.Element) (*assertion, error) {
	if !is(el, nsAssertion, "Assertion") || attr(el, "Version") != "2.0" || !idOK.MatchString(attr(el, "ID")) {
		return nil, errors.New("the signature covers no SAML 2.0 assertion")
	}
	if err := r.fresh(el); err != nil {
		return nil, err
	}
	for _, c := range el.ChildElements() {
		if c.Tag != "Signature" && c.NamespaceURI() != nsAssertion ||
			!slices.Contains([]string{"Issuer", "Signature", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"}, c.Tag) {
			return nil, fmt.Errorf("the assertion holds %s, which is not understood", clip(c.Tag))
		}
	}
	issuer := one(el, nsAssertion, "Issuer")
	if issuer == nil {
		return nil, errors.New("the assertion names no issuer")
	}
	if err := r.issued(issuer); err != nil {
		return nil, err
	}
	a := &assertion{id: attr(el, "ID")}
	for _, read := range []func(*etree.Element, *assertion) error{r.conditions, r.subject, r.authn, r.attributes} {
		if err := read(el, a); err != nil {
			return nil, err
		}
	}
	return a, nil
}
