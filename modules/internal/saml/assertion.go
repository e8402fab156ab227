// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"

	"github.com/crmgate/crmgate/modules/internal/directory"
)

// within checks a span of time: from NotBefore, which may be absent, to before
// NotOnOrAfter, with the skew on both sides.
func (r *reader) within(el *etree.Element) (until time.Time, err error) {
	from, err := instant(el, "NotBefore")
	if err != nil {
		return until, err
	}
	if until, err = instant(el, "NotOnOrAfter"); err != nil {
		return until, err
	}
	if from.After(r.now.Add(r.skew)) {
		return until, errors.New("the assertion is not valid yet")
	}
	if !until.IsZero() && !r.now.Before(until.Add(r.skew)) {
		return until, errors.New("the assertion has expired")
	}
	return until, nil
}

// conditions asks for an audience that is this gate; every restriction must hold
// (SAML core §2.5.1.4). A condition nobody knows cannot hold.
func (r *reader) conditions(el *etree.Element, a *assertion) error {
	c := one(el, nsAssertion, "Conditions")
	if c == nil {
		return errors.New("the assertion has no conditions")
	}
	if _, err := r.within(c); err != nil {
		return err
	}
	restricted := false
	for _, cond := range c.ChildElements() {
		switch {
		case is(cond, nsAssertion, "AudienceRestriction"):
			var names []string
			for _, n := range all(cond, nsAssertion, "Audience") {
				name, err := text(n)
				if err != nil {
					return err
				}
				names = append(names, name)
			}
			if !slices.Contains(names, r.audience) {
				return fmt.Errorf("the assertion is for %q, not for this gate", clip(fmt.Sprint(names)))
			}
			restricted = true
		case is(cond, nsAssertion, "OneTimeUse"), is(cond, nsAssertion, "ProxyRestriction"):
		default:
			return fmt.Errorf("the assertion has the condition %s, which is not understood", clip(cond.Tag))
		}
	}
	if !restricted {
		return errors.New("the assertion names no audience")
	}
	return nil
}

// subject asks for one bearer confirmation that holds here and now.
func (r *reader) subject(el *etree.Element, a *assertion) error {
	s := one(el, nsAssertion, "Subject")
	if s == nil {
		return errors.New("the assertion has no subject")
	}
	if len(all(s, nsAssertion, "EncryptedID")) > 0 || len(all(s, nsAssertion, "BaseID")) > 0 || len(all(s, nsAssertion, "NameID")) > 1 {
		return errors.New("the subject is named in a way that is not understood")
	}
	if n := one(s, nsAssertion, "NameID"); n != nil {
		value, err := text(n)
		if err != nil {
			return err
		}
		a.name = nameID{value, attr(n, "Format"), attr(n, "NameQualifier"), attr(n, "SPNameQualifier")}
	}
	err := errors.New("the assertion has no bearer confirmation")
	for _, c := range all(s, nsAssertion, "SubjectConfirmation") {
		if attr(c, "Method") != methodBearer {
			continue
		}
		if a.until, err = r.bearer(one(c, nsAssertion, "SubjectConfirmationData")); err == nil {
			return nil
		}
	}
	return err
}

func (r *reader) bearer(d *etree.Element) (time.Time, error) {
	if d == nil {
		return time.Time{}, errors.New("the confirmation has no data")
	}
	if attr(d, "Recipient") != r.acs {
		return time.Time{}, fmt.Errorf("its Recipient is %q, not this gate", clip(attr(d, "Recipient")))
	}
	if err := r.answers(d); err != nil {
		return time.Time{}, err
	}
	until, err := r.within(d)
	if err != nil {
		return time.Time{}, err
	}
	if until.IsZero() {
		return time.Time{}, errors.New("the confirmation has no NotOnOrAfter")
	}
	return until, nil
}

func (r *reader) authn(el *etree.Element, a *assertion) error {
	list := all(el, nsAssertion, "AuthnStatement")
	if len(list) != 1 {
		return errors.New("the assertion says not exactly once how the person signed in")
	}
	end, err := instant(list[0], "SessionNotOnOrAfter")
	if err != nil {
		return err
	}
	if !end.IsZero() && !r.now.Before(end.Add(r.skew)) {
		return errors.New("the provider's session has expired")
	}
	if a.authn, err = instant(list[0], "AuthnInstant"); err != nil {
		return err
	}
	if a.authn.IsZero() || a.authn.After(r.now.Add(r.skew)) {
		return errors.New("the person signed in in the future; the clocks differ")
	}
	a.index = attr(list[0], "SessionIndex")
	a.context, err = text(one(one(list[0], nsAssertion, "AuthnContext"), nsAssertion, "AuthnContextClassRef"))
	return err
}

func (r *reader) attributes(el *etree.Element, a *assertion) error {
	a.attrs = map[string][]string{}
	for _, s := range all(el, nsAssertion, "AttributeStatement") {
		for _, at := range all(s, nsAssertion, "Attribute") {
			name := attr(at, "Name")
			for _, v := range all(at, nsAssertion, "AttributeValue") {
				value, err := text(v)
				if err != nil {
					a.attrs[name] = append(a.attrs[name], "\x00") // structured: no address, and no two are alike
					continue
				}
				a.attrs[name] = append(a.attrs[name], value)
			}
		}
	}
	return nil
}

// email is the address the assertion gives: that of the first attribute that is
// there, or the name identifier when its format says that it is one. An attribute
// with two different addresses gives none: which one counts would be chance.
func (a *assertion) email(attributes []string) (string, error) {
	for _, name := range attributes {
		values := a.attrs[name]
		if len(values) == 0 {
			continue
		}
		first := ""
		for _, v := range values {
			e, err := directory.ParseEmail(v)
			if err != nil {
				return "", fmt.Errorf("the attribute %s is no e-mail address", name)
			}
			if first != "" && e != first {
				return "", fmt.Errorf("the attribute %s holds several e-mail addresses", name)
			}
			first = e
		}
		return first, nil
	}
	if a.name.Format == FormatEmail {
		if e, err := directory.ParseEmail(a.name.Value); err == nil {
			return e, nil
		}
		return "", errors.New("the name identifier is no e-mail address")
	}
	return "", fmt.Errorf("the assertion holds no e-mail address: neither an attribute %q nor a name identifier in the e-mail format", attributes)
}

// methods says how the person was proved, as in RFC 8176; nil when the provider
// says nothing that translates.
func (a *assertion) methods() []string {
	switch a.context {
	case "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport":
		return []string{"pwd"}
	case "urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos", "urn:federation:authentication:windows":
		return []string{"wia"}
	case "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken":
		return []string{"otp"}
	case "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI":
		return []string{"sc"}
	case "http://schemas.microsoft.com/claims/multipleauthn":
		return []string{"mfa"}
	}
	return nil
}
