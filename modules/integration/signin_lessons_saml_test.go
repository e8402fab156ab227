// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"html"
	"math/big"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// lessonSAML starts a gateway whose people sign in at a real SAML provider.
func lessonSAML(t *testing.T) *demo {
	t.Helper()
	folder := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "crmgate"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(folder, name) }
	write(t, in("cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, in("key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))

	s := &setup{crm: serve(t, new(recorder)), options: `
		origin https://localhost:{port}
		identity local
		identity saml adfs {
			metadata ` + in("idp.xml") + `
			key_pair ` + in("cert.pem") + " " + in("key.pem") + `
		}`}
	file, port, admin := s.file(t)
	at := "https://localhost:" + port + "/.crmgate/sso/adfs/"
	ssp := testpeer.StartSSP(t, testpeer.SSPService{
		EntityID: at + "metadata", ACS: at + "acs", SLO: at + "slo", Certificate: base64.StdEncoding.EncodeToString(cert), SignAssertion: true, SignResponse: true,
	})
	plain := &browser{t: t, Client: &http.Client{Timeout: 20 * time.Second}}
	write(t, in("idp.xml"), plain.get(ssp.Metadata).text())
	p, _ := start(t, nil, "run", "--config", file, "--adapter", "caddyfile")
	return s.ready(t, p, port, admin)
}

var (
	lessonAction     = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	lessonInput      = regexp.MustCompile(`<input[^>]*>`)
	lessonInputName  = regexp.MustCompile(` name="([^"]*)"`)
	lessonInputValue = regexp.MustCompile(` value="([^"]*)"`)
)

// lessonFormOf reads the form of a page.
func (a *answer) lessonFormOf(t *testing.T) (action string, values url.Values) {
	t.Helper()
	m := lessonAction.FindStringSubmatch(a.text())
	if m == nil {
		t.Fatalf("%s shows no form: %s %s", a.Request.URL, a.Status, a.text())
	}
	to, err := a.Request.URL.Parse(html.UnescapeString(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	values = url.Values{}
	for _, input := range lessonInput.FindAllString(a.text(), -1) {
		name, value := lessonInputName.FindStringSubmatch(input), lessonInputValue.FindStringSubmatch(input)
		if name == nil {
			continue
		}
		if value == nil {
			value = []string{"", ""}
		}
		values.Set(html.UnescapeString(name[1]), html.UnescapeString(value[1]))
	}
	return to.String(), values
}

// lessonThroughSAML signs in at the provider up to its answer, and returns what sends the
// answer to the gateway.
func lessonThroughSAML(t *testing.T, b *browser, login string) (send func() *answer) {
	t.Helper()
	res := b.get("/.crmgate/sso/adfs/start", lessonPage...)
	at := &browser{t: t, Client: &http.Client{Jar: b.Jar, Timeout: 20 * time.Second}} // goes where it is sent
	shown := at.get(res.Header.Get("Location"), lessonPage...)
	action, form := shown.lessonFormOf(t)
	form.Set("username", login)
	form.Set("password", "pw-"+login)
	said := at.post(action, form.Encode(), append(lessonPage, "Content-Type", "application/x-www-form-urlencoded")...)
	action, form = said.lessonFormOf(t)
	if !strings.HasPrefix(action, b.base) || form.Get("SAMLResponse") == "" {
		t.Fatalf("the provider did not sign %s in: %s", login, said.text())
	}
	return func() *answer {
		origin := strings.TrimSuffix(shown.Request.URL.Scheme+"://"+shown.Request.URL.Host, "/")
		return b.post(action, form.Encode(), append(lessonPage, "Content-Type", "application/x-www-form-urlencoded", "Origin", origin, "Sec-Fetch-Site", "cross-site")...)
	}
}

// TestDeactivatedAndLockedPeopleDoNotComeInBySAML: CVE-2025-53942. What a provider
// confirms is judged here, when it arrives.
func TestDeactivatedAndLockedPeopleDoNotComeInBySAML(t *testing.T) {
	d := lessonSAML(t)
	for _, login := range []string{"sally", "mark"} {
		email := login + "@example.test"
		d.add(t, email, "administrator", crmUser{})
		b := d.browser(t)
		if res := lessonThroughSAML(t, b, login)(); !b.inside() {
			t.Fatalf("%s is active and not let in: %s %s\n%s", login, res.Status, res.text(), d.log())
		}
		next := d.browser(t)
		send := lessonThroughSAML(t, next, login)
		if login == "sally" {
			d.admin(t, http.MethodPatch, "/crmgate/people/"+email, `{"status":"inactive"}`)
		} else {
			d.admin(t, http.MethodPost, "/crmgate/locks", fmt.Sprintf(`{"target":"user","value":%q}`, email))
		}
		if b.inside() {
			t.Errorf("%s goes on in a session the provider opened", login)
		}
		if res := send(); next.inside() || res.StatusCode < 400 {
			t.Errorf("%s comes in by an answer that was on its way: %s", login, res.Status)
		}
		again := d.browser(t)
		if res := lessonThroughSAML(t, again, login)(); again.inside() || res.StatusCode < 400 {
			t.Errorf("%s comes in by SAML: %s", login, res.Status)
		}
	}
}
