// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// errSigner is returned when no certificate that is believed verifies a signature.
var errSigner = errors.New("no certificate of the provider verifies the signature")

// What a signature may be made with. ECDSA is left out: the library reads its
// values in another form than the one the standard writes.
var (
	signatureMethods = map[string]x509.SignatureAlgorithm{
		dsig.RSASHA256SignatureMethod: x509.SHA256WithRSA,
		dsig.RSASHA384SignatureMethod: x509.SHA384WithRSA,
		dsig.RSASHA512SignatureMethod: x509.SHA512WithRSA,
	}
	digestMethods = map[string]bool{
		"http://www.w3.org/2001/04/xmlenc#sha256":       true,
		"http://www.w3.org/2001/04/xmldsig-more#sha384": true,
		"http://www.w3.org/2001/04/xmlenc#sha512":       true,
	}
)

const (
	exclusive = string(dsig.CanonicalXML10ExclusiveAlgorithmId)
	enveloped = string(dsig.EnvelopedSignatureAltorithmId)
)

var idOK = regexp.MustCompile(`^[A-Za-z_][\w.-]{0,255}$`)

// shape lists what an element may hold: names of one namespace in their order,
// with ? for those that may be missing. It returns them by name.
func shape(el *etree.Element, ns string, names ...string) (map[string]*etree.Element, error) {
	return mixedShape(el, func(string) string { return ns }, names...)
}

func mixedShape(el *etree.Element, ns func(name string) string, names ...string) (map[string]*etree.Element, error) {
	out := map[string]*etree.Element{}
	children := el.ChildElements()
	for _, n := range names {
		name, optional := strings.CutSuffix(n, "?")
		if len(children) > 0 && is(children[0], ns(name), name) {
			out[name], children = children[0], children[1:]
		} else if !optional {
			return nil, fmt.Errorf("%s has no %s where one must be", el.Tag, name)
		}
	}
	if len(children) > 0 {
		return nil, fmt.Errorf("%s holds %s where nothing may be", el.Tag, children[0].Tag)
	}
	return out, nil
}

// checkSignature takes one form of signature only: one reference, to the element
// it stands in, by that element's ID, through the enveloped transform and
// exclusive canonicalization without comments, with SHA-2.
func checkSignature(sig *etree.Element) error {
	parent := sig.Parent()
	id := attr(parent, "ID")
	if !idOK.MatchString(id) {
		return errors.New("what is signed has no ID")
	}
	top, err := shape(sig, nsSignature, "SignedInfo", "SignatureValue", "KeyInfo?")
	if err != nil {
		return err
	}
	info, err := shape(top["SignedInfo"], nsSignature, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return err
	}
	if err := checkExclusive(info["CanonicalizationMethod"]); err != nil {
		return err
	}
	if _, err := shape(info["SignatureMethod"], nsSignature); err != nil {
		return err
	}
	if alg := attr(info["SignatureMethod"], "Algorithm"); signatureMethods[alg] == 0 {
		return fmt.Errorf("it is signed with %q, which is refused", clip(alg))
	}
	if attr(info["Reference"], "URI") != "#"+id {
		return errors.New("the signature does not refer to the element it stands in")
	}
	ref, err := shape(info["Reference"], nsSignature, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return err
	}
	if alg := attr(ref["DigestMethod"], "Algorithm"); !digestMethods[alg] {
		return fmt.Errorf("its digest is made with %q, which is refused", clip(alg))
	}
	transforms := ref["Transforms"].ChildElements()
	if len(transforms) != 2 || !is(transforms[0], nsSignature, "Transform") || !is(transforms[1], nsSignature, "Transform") ||
		attr(transforms[0], "Algorithm") != enveloped || len(transforms[0].ChildElements()) != 0 {
		return errors.New("the signature asks for other transforms than the two of SAML")
	}
	return checkExclusive(transforms[1])
}

func checkExclusive(el *etree.Element) error {
	if attr(el, "Algorithm") != exclusive {
		return errors.New("the signature asks for another canonicalization than the exclusive one")
	}
	_, err := shape(el, exclusive, "InclusiveNamespaces?")
	return err
}

// signatureOf is the signature among the children, or nil.
func signatureOf(el *etree.Element) *etree.Element { return one(el, nsSignature, "Signature") }

// verify checks the signature in el and returns what was signed, made anew from
// the bytes the digest was taken of. A certificate the signature brings along is
// never looked at: keys come from the metadata.
func verify(el *etree.Element, certs []*x509.Certificate, now time.Time) (*etree.Element, error) {
	sig := signatureOf(el)
	if sig == nil {
		return nil, errors.New("there is no signature")
	}
	if err := checkSignature(sig); err != nil {
		return nil, err
	}
	alone, err := standalone(el)
	if err != nil {
		return nil, errors.New("its namespaces cannot be read")
	}
	if own := signatureOf(alone); own != nil {
		if info := one(own, nsSignature, "KeyInfo"); info != nil {
			own.RemoveChild(info)
		}
	}
	for _, c := range certs {
		v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
		v.Clock = dsig.NewFakeClockAt(now)
		signed, err := v.Validate(alone)
		if err != nil {
			continue
		}
		if signed == nil || signed.Tag != el.Tag || signed.NamespaceURI() != el.NamespaceURI() || attr(signed, "ID") != attr(el, "ID") {
			return nil, errors.New("the signature covers something else")
		}
		return signed, nil
	}
	return nil, errSigner
}

// standalone is a copy of an element that declares what it inherits. A root
// inherits nothing; metadata can be larger than the library's detaching takes.
func standalone(el *etree.Element) (*etree.Element, error) {
	if p := el.Parent(); p == nil || p.Tag == "" {
		return el.Copy(), nil
	}
	ctx, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, err
	}
	return etreeutils.NSDetatch(ctx, el)
}

// clip keeps what others wrote short and printable.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0xffff {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 120 {
		s = string(r[:120])
	}
	return s
}
