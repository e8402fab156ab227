// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"compress/flate"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/beevik/etree"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// maxForm bounds the body of a POST: MaxMessage in base64, percent-encoded, and a
// relay state.
const maxForm = 512 << 10

// postForm reads the form of a POST; a parameter that is there twice is refused.
func postForm(r *http.Request) error {
	if r.PostForm == nil && r.Body != nil {
		r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	}
	if err := r.ParseForm(); err != nil {
		return errors.New("the form cannot be read, or is too large")
	}
	for _, k := range []string{"SAMLResponse", "SAMLRequest", "RelayState"} {
		if len(r.PostForm[k]) > 1 {
			return fmt.Errorf("%s is there twice", k)
		}
	}
	return nil
}

// decodePOST decodes a message of the POST binding. Providers fold base64 into
// lines.
func decodePOST(v string) ([]byte, error) {
	if len(v) > maxForm {
		return nil, fmt.Errorf("it is larger than %d bytes", MaxMessage)
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
	if err != nil {
		return nil, errors.New("it is no base64")
	}
	return b, nil
}

// redirectMessage is a message of the redirect binding, as its query string has it.
type redirectMessage struct {
	doc       []byte
	isRequest bool
	relay     string
	signed    string // what the signature is over: the raw parameters
	method    x509.SignatureAlgorithm
	signature []byte
}

// parseRedirect reads a query string of the redirect binding (SAML bindings
// §3.4.4). The signature is over the parameters as they were encoded, so the raw
// query is read, and a parameter that is there twice is refused.
func parseRedirect(rawQuery string) (*redirectMessage, error) {
	if len(rawQuery) > maxForm {
		return nil, errors.New("the query is too long")
	}
	raw, value := map[string]string{}, map[string]string{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		k, v, _ := strings.Cut(pair, "=")
		switch k {
		case "SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding":
		default:
			if name, err := url.QueryUnescape(k); err != nil || strings.HasPrefix(name, "SAML") || strings.HasPrefix(name, "Sig") || name == "RelayState" {
				return nil, errors.New("a parameter's name is written in an odd way")
			}
			continue
		}
		plain, err := url.QueryUnescape(v)
		if _, twice := raw[k]; twice || err != nil {
			return nil, fmt.Errorf("%s is there twice, or cannot be read", k)
		}
		raw[k], value[k] = v, plain
	}
	m := &redirectMessage{relay: value["RelayState"], isRequest: value["SAMLRequest"] != ""}
	name := "SAMLResponse"
	if m.isRequest {
		name = "SAMLRequest"
	}
	switch {
	case value[name] == "" || value["SAMLRequest"] != "" && value["SAMLResponse"] != "":
		return nil, errors.New("it holds not exactly one message")
	case value["SAMLEncoding"] != "" && value["SAMLEncoding"] != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE":
		return nil, errors.New("its encoding is not known")
	case value["Signature"] == "":
		return nil, errors.New("it is not signed")
	}
	if m.method = signatureMethods[value["SigAlg"]]; m.method == 0 {
		return nil, fmt.Errorf("it is signed with %q, which is refused", clip(value["SigAlg"]))
	}
	m.signed = name + "=" + raw[name]
	if _, ok := raw["RelayState"]; ok {
		m.signed += "&RelayState=" + raw["RelayState"]
	}
	m.signed += "&SigAlg=" + raw["SigAlg"]
	var err error
	if m.signature, err = base64.StdEncoding.DecodeString(value["Signature"]); err != nil {
		return nil, errors.New("its signature is no base64")
	}
	packed, err := base64.StdEncoding.DecodeString(value[name])
	if err != nil {
		return nil, errors.New("it is no base64")
	}
	m.doc, err = inflate(packed)
	return m, err
}

// inflate unpacks at most MaxMessage bytes.
func inflate(b []byte) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), MaxMessage+1))
	if err != nil {
		return nil, errors.New("it does not unpack")
	}
	if len(out) > MaxMessage {
		return nil, fmt.Errorf("it is larger than %d bytes", MaxMessage)
	}
	return out, nil
}

func (m *redirectMessage) verify(p *idp, env signin.Env) error {
	now := env.Clock.Now()
	for _, c := range p.certs {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			continue
		}
		if c.CheckSignature(m.method, []byte(m.signed), m.signature) == nil {
			return nil
		}
	}
	return errSigner
}

func document(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(el)
	return doc.WriteToBytes()
}

// redirectTo puts a message into an address, signed. The provider checks the
// signature over the parameters alone, so those its address has already stay out.
func redirectTo(location, param string, el *etree.Element, relay string, k *keyPair) (string, error) {
	doc, err := document(el)
	if err != nil {
		return "", fmt.Errorf("writing the message: %w", err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return "", fmt.Errorf("packing the message: %w", err)
	}
	if _, err := w.Write(doc); err != nil {
		return "", fmt.Errorf("packing the message: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("packing the message: %w", err)
	}
	query := param + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relay != "" {
		query += "&RelayState=" + url.QueryEscape(relay)
	}
	s, err := k.signer()
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	query += "&SigAlg=" + url.QueryEscape(s.GetSignatureMethodIdentifier())
	sig, err := s.SignString(query)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sig))
	sep := "?"
	if strings.Contains(location, "?") {
		sep = "&"
	}
	return location + sep + query, nil
}

// send is a message on its way by one of the two bindings. build makes the
// element with a signature, which the POST binding needs inside, or with nil.
func send(b Binding, location, param, relay string, k *keyPair, build func(sig *etree.Element) *etree.Element) (signin.Next, error) {
	if b == BindingRedirect {
		u, err := redirectTo(location, param, build(nil), relay, k)
		return signin.Next{URL: u}, err
	}
	sig, err := k.sign(build(nil))
	if err != nil {
		return signin.Next{}, err
	}
	doc, err := document(build(sig))
	if err != nil {
		return signin.Next{}, fmt.Errorf("writing the message: %w", err)
	}
	form := map[string]string{param: base64.StdEncoding.EncodeToString(doc)}
	if relay != "" {
		form["RelayState"] = relay
	}
	return signin.Next{URL: location, Form: form}, nil
}
