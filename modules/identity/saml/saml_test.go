// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// folder holds metadata.xml, cert.pem and key.pem; it returns the thumbprint of
// the metadata's certificate too.
func folder(t *testing.T) (dir, thumbprint string) {
	t.Helper()
	dir = t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"metadata.xml": `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="urn:idp"><IDPSSODescriptor><KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` +
			base64.StdEncoding.EncodeToString(der) + `</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/"/></IDPSSODescriptor></EntityDescriptor>`,
		"cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha1.Sum(der)
	return dir, strings.TrimSpace(strings.ReplaceAll(fmt.Sprintf("% X", sum), "  ", " "))
}

func read(t *testing.T, text string) (*SAML, error) {
	t.Helper()
	s := new(SAML)
	if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		return s, err
	}
	err := s.Provision(caddy.Context{})
	t.Cleanup(func() { _ = s.Cleanup() })
	return s, err
}

func TestFromCaddyfile(t *testing.T) {
	dir, thumb := folder(t)
	t.Setenv("SAML_METADATA", dir+"/metadata.xml")
	s, err := read(t, `saml staff {
	metadata         {env.SAML_METADATA}
	entity_id        urn:idp
	thumbprints      "`+thumb+`"
	own_entity_id    urn:gate
	label            "Example Inc."
	binding          post
	email_attributes mail urn:oid:0.9.2342.19200300.100.1.3
	name_id_format   email
	clock_skew       0s
	idp_initiated
	refresh          30m
	key_pair         `+dir+`/cert.pem `+dir+`/key.pem
	ca               `+dir+`/cert.pem
}`)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name() != "staff" || s.Label() != "Example Inc." {
		t.Errorf("%s, %s", s.Name(), s.Label())
	}
	if checks, err := s.Probe(t.Context(), clock.System{}); err != nil || len(checks) < 5 {
		t.Errorf("testing it before it is switched on: %v, %v", checks, err)
	}
	dump, err := json.Marshal(s)
	if err != nil || strings.Contains(string(dump), "PRIVATE") || strings.Contains(string(dump), "MII") {
		t.Errorf("the configuration that can be read back is %s, %v", dump, err)
	}
	var again SAML
	if err := json.Unmarshal(dump, &again); err != nil || again.ClockSkew == nil || *again.ClockSkew != 0 {
		t.Errorf("from JSON: %+v, %v", again, err)
	}
	if s, err := read(t, "saml {\n metadata https://adfs.example.com/FederationMetadata/2007-06/FederationMetadata.xml\n}"); err != nil || s.Name() != "saml" || s.Label() != "Company account" {
		t.Errorf("the shortest one: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	dir, _ := folder(t)
	meta := " metadata " + dir + "/metadata.xml\n"
	open := filepath.Join(dir, "open.pem")
	if err := os.WriteFile(open, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"no metadata", "saml", "FederationMetadata.xml"},
		{"metadata without TLS", "saml {\n metadata http://adfs.example.com/m.xml\n}", "must be https"},
		{"file missing", "saml {\n metadata /does/not/exist.xml\n}", "no such file"},
		{"reference to nothing", "saml {\n metadata {env.NOBODY_SET_THIS}\n}", "NOBODY_SET_THIS"},
		{"bad thumbprint", "saml {\n" + meta + " thumbprints 12:34\n}", "40 (SHA-1) or 64 (SHA-256)"},
		{"other thumbprint", "saml {\n" + meta + " thumbprints " + strings.Repeat("ab", 20) + "\n}", "pinned"},
		{"bad name", "saml AD_FS {\n" + meta + "}", "letters a-z"},
		{"two names", "saml a b", "argument"},
		{"bad binding", "saml {\n" + meta + " binding artifact\n}", "redirect nor post"},
		{"bad duration", "saml {\n" + meta + " clock_skew soon\n}", "such as 30s"},
		{"skew of an hour", "saml {\n" + meta + " clock_skew 1h\n}", "5m"},
		{"unknown option", "saml {\n skip_signature\n}", "skip_signature is no option"},
		{"twice", "saml {\n" + meta + meta + "}", "twice"},
		{"no value", "saml {\n metadata\n}", "argument"},
		{"empty list", "saml {\n thumbprints\n}", "argument"},
		{"flag with a value", "saml {\n idp_initiated yes\n}", "argument"},
		{"half a pair", "saml {\n" + meta + " key_pair " + dir + "/cert.pem\n}", "argument"},
		{"key everybody may read", "saml {\n" + meta + " key_pair " + dir + "/cert.pem " + open + "\n}", "chmod 600"},
		{"ca that is none", "saml {\n" + meta + " ca " + open + "\n}", "no PEM certificate"},
	} {
		if _, err := read(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the operator reads %v, want %q", c.name, err, c.want)
		}
	}
}
