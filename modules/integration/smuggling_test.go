// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// bridged is a gateway that tells the CRM who asks in every way there is.
func bridged(t *testing.T) (*demo, *recorder) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), options: `bridge keys
		bridge jwt {
			audience the-crm
			lifetime 30s
		}
		bridge headers {
			user X-Remote-User
			email X-Remote-Email
			name X-Remote-Name
			role X-Remote-Role
		}`}
	d := s.start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{ID: "boss-1", AccessKey: "u$rBOSSACCESS0001", SecretKey: "bosssecret0001"})
	d.add(t, "ravi@acme.test", "sales_user", crmUser{ID: "ravi-1", AccessKey: "u$rRAVIACCESS0001", SecretKey: "ravisecret0001"})
	return d, crm
}

// fold reduces a name to its letters and digits.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

// TestSmuggling: nothing a client sends says to the CRM who asks.
func TestSmuggling(t *testing.T) {
	d, crm := bridged(t)
	b := d.signedIn(t, "boss@acme.test")
	ravi := d.signedIn(t, "ravi@acme.test")
	const forged = "forged-by-the-client"
	names := []string{
		"X-Crmgate-Jwt-Assertion", "x-lsq-accesskey", "X_LSQ_AccessKey", "x.lsq.secretkey", "XLSQSecretKey", "X-LSQ-Access-Key", "x-api-key", "X_Api_Key",
		"X-Remote-User", "x_remote_user", "X.Remote-Email", "X-REMOTE-NAME", "XRemoteRole", "X-Crmgate_Jwt.Assertion", "x_crmgate_jwt_assertion",
	}
	for _, http2 := range []bool{false, true} {
		c := b.over(http2)
		for _, name := range names {
			req, _ := http.NewRequest(http.MethodGet, d.Gateway+"/app/api/me", nil)
			req.Header[name] = []string{forged, forged + "-twice"}
			if !http2 {
				req.Header["Connection"] = []string{name}
			}
			crm.take()
			res, err := c.Do(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_ = res.Body.Close()
			got := crm.take()
			if f := fold(name); res.StatusCode == http.StatusBadRequest && len(got) == 0 && (f == "xlsqaccesskey" || f == "xlsqsecretkey") {
				continue // half a key pair, and twice
			}
			if res.StatusCode != http.StatusOK || len(got) != 1 {
				t.Errorf("%s (HTTP/2 %v): %s, %d requests at the CRM", name, http2, res.Status, len(got))
				continue
			}
			bossAlone(t, name, got[0], forged)
		}
	}

	t.Run("query", func(t *testing.T) {
		for _, q := range []string{"accessKey=" + forged, "ACCESSKEY=" + forged, "access%4Bey=" + forged, "secretkey=" + forged, "access_key=" + forged + "&secret-key=x&access.Key=y"} {
			crm.take()
			a := b.get("/app/api/me?a=1&" + q + "&b=2")
			for _, got := range crm.take() {
				if strings.Contains(got.URI, forged) {
					t.Errorf("?%s (%s) reached the CRM as %s", q, a.Status, got.URI)
				}
			}
		}
	})

	t.Run("cookies", func(t *testing.T) {
		crm.take()
		if a := b.get("/app/api/me", "Cookie", "theme=dark; lang=en"); a.StatusCode != http.StatusOK {
			t.Fatalf("a request with other cookies: %s", a.Status)
		}
		got := crm.take()
		if len(got) != 1 || !strings.Contains(got[0].Header.Get("Cookie"), "theme=dark") || strings.Contains(got[0].Header.Get("Cookie"), "crmgate") {
			t.Errorf("cookies at the CRM: %+v", got)
		}
	})

	t.Run("everybody has his own", func(t *testing.T) {
		crm.take()
		ravi.get("/app/api/ping")
		got := crm.take()
		if len(got) != 1 || got[0].Header.Get("X-Remote-Email") != "ravi@acme.test" || got[0].Header.Get("X-Lsq-Accesskey") != "u$rRAVIACCESS0001" ||
			got[0].Header.Get("X-Lsq-Secretkey") != "ravisecret0001" || got[0].Header.Get("X-Remote-Role") != "sales_user" {
			t.Errorf("ravi's request at the CRM: %+v", got)
		}
	})

	t.Run("the assertion", func(t *testing.T) {
		crm.take()
		b.get("/app/api/me")
		verifyAssertion(t, d, crm.take()[0].Header.Get("X-Crmgate-Jwt-Assertion"))
	})
}

// bossAlone holds that a request says it is the boss's, once, and nothing forged.
func bossAlone(t *testing.T, name string, got seen, forged string) {
	t.Helper()
	if strings.Contains(headerText(got.Header)+got.URI, forged) {
		t.Errorf("%s reached the CRM:\n%s%s", name, got.URI, headerText(got.Header))
	}
	want := map[string]string{"xlsqaccesskey": "u$rBOSSACCESS0001", "xlsqsecretkey": "bosssecret0001", "xremoteemail": "boss@acme.test", "xremoterole": "administrator"}
	count := map[string]int{}
	for h, v := range got.Header {
		if w, ok := want[fold(h)]; ok {
			count[fold(h)] += len(v)
			if len(v) != 1 || v[0] != w {
				t.Errorf("with a client's %s the CRM got %s: %q", name, h, v)
			}
		}
		if strings.Contains(fold(h), "crmgatejwt") && (h != "X-Crmgate-Jwt-Assertion" || len(v) != 1) {
			t.Errorf("with a client's %s the CRM got %s: %q", name, h, v)
		}
	}
	for h := range want {
		if count[h] != 1 {
			t.Errorf("with a client's %s the CRM got %d of %s", name, count[h], h)
		}
	}
}

// verifyAssertion checks a token like a CRM would: by the public keys.
func verifyAssertion(t *testing.T, d *demo, token string) {
	t.Helper()
	var keys jose.JSONWebKeySet
	d.browser(t).get("/.crmgate/jwks.json").json(t, &keys)
	tok, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("the assertion %q: %v", token, err)
	}
	found := keys.Key(tok.Headers[0].KeyID)
	if len(found) != 1 || !found[0].IsPublic() {
		t.Fatalf("the published keys do not have the assertion's: %+v", keys)
	}
	var claims struct {
		jwt.Claims
		Email string `json:"email"`
		Role  string `json:"role"`
	}
	if err := tok.Claims(found[0].Key, &claims); err != nil {
		t.Fatalf("verifying the assertion: %v", err)
	}
	if err := claims.Validate(jwt.Expected{Issuer: "crmgate/acme", AnyAudience: []string{"the-crm"}, Time: time.Now()}); err != nil {
		t.Errorf("the assertion is not valid now: %v (%+v)", err, claims)
	}
	if claims.Email != "boss@acme.test" || claims.Role != "administrator" || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > time.Minute {
		t.Errorf("the assertion says %+v", claims)
	}
}

// TestPrograms: key pairs right, wrong, half, twice, and of somebody who has left.
func TestPrograms(t *testing.T) {
	d, crm := bridged(t)
	b := d.browser(t)
	const a, s = "x-LSQ-AccessKey", "x-LSQ-SecretKey"
	const access, secret = "u$rBOSSACCESS0001", "bosssecret0001"
	esc := url.QueryEscape(access)
	for _, c := range []struct {
		name   string
		query  string
		header http.Header
		want   int
	}{
		{"right", "", http.Header{a: {access}, s: {secret}}, 200},
		{"right in the query", "?accessKey=" + esc + "&secretKey=" + secret, nil, 200},
		{"right in the query, other case", "?ACCESSKEY=" + esc + "&SecretKEY=" + secret, nil, 200},
		{"wrong secret", "", http.Header{a: {access}, s: {"x"}}, 401},
		{"somebody else's secret", "", http.Header{a: {access}, s: {"ravisecret0001"}}, 401},
		{"unknown", "", http.Header{a: {"nobody"}, s: {secret}}, 401},
		{"empty secret", "", http.Header{a: {access}, s: {""}}, 401},
		{"access alone", "", http.Header{a: {access}}, 400},
		{"secret alone", "", http.Header{s: {secret}}, 400},
		{"twice", "", http.Header{a: {access, access}, s: {secret}}, 400},
		{"twice in two spellings", "", http.Header{a: {access}, "X_LSQ_AccessKey": {"u$rRAVIACCESS0001"}, s: {secret}}, 0},
		{"in both places", "?accessKey=" + esc + "&secretKey=" + secret, http.Header{a: {access}, s: {secret}}, 400},
		{"half here, half there", "?secretKey=" + secret, http.Header{a: {access}}, 0},
		{"none", "", nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			crm.take()
			req, _ := http.NewRequest(http.MethodGet, d.Gateway+"/app/api/me"+c.query, nil)
			maps.Copy(req.Header, c.header)
			res, err := b.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			got := crm.take()
			if c.want != 0 && res.StatusCode != c.want {
				t.Errorf("%s, want %d", res.Status, c.want)
			}
			if (res.StatusCode == 200) != (len(got) == 1) {
				t.Errorf("%s, but the CRM got %d requests", res.Status, len(got))
			}
			for _, r := range got {
				if strings.Contains(strings.ToLower(r.URI), "key=") || r.Header.Get(a) != access || len(r.Header.Values(a)) != 1 {
					t.Errorf("the CRM got %s %v", r.URI, r.Header)
				}
			}
		})
	}

	t.Run("somebody who has left", func(t *testing.T) {
		ravi := d.signedIn(t, "ravi@acme.test")
		ask := func() (byKey, bySession int) {
			k, s := b.get("/app/api/ping", a, "u$rRAVIACCESS0001", s, "ravisecret0001"), ravi.get("/app/api/ping")
			t.Logf("key pair: %s, session: %s", k.reason(), s.reason())
			return k.StatusCode, s.StatusCode
		}
		if k, s := ask(); k != 200 || s != 200 {
			t.Fatalf("before: key pair %d, session %d", k, s)
		}
		if out, err := d.command(t, "", "user", "deactivate", "ravi@acme.test"); err != nil {
			t.Fatalf("deactivating: %v\n%s", err, out)
		}
		if k, s := ask(); k != 401 || s != 401 {
			t.Errorf("after ravi was deactivated: key pair %d, session %d, want 401 at once", k, s)
		}
		if a := d.browser(t).signIn("ravi@acme.test", password); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("ravi signs in again: %s", a.Status)
		}
		if out, err := d.command(t, "", "user", "activate", "ravi@acme.test"); err != nil {
			t.Fatalf("activating: %v\n%s", err, out)
		}
		if k, s := ask(); k != 200 || s != 401 {
			t.Errorf("after he is back: key pair %d, want 200; the old session %d, want 401", k, s)
		}
	})
}

// TestHTTP2Smuggling: headers no HTTP/2 client may send end the request.
func TestHTTP2Smuggling(t *testing.T) {
	d, crm := bridged(t)
	b := d.signedIn(t, "boss@acme.test")
	u, _ := url.Parse(d.Gateway)
	cookie := ""
	for _, c := range b.Jar.Cookies(u) {
		cookie += c.Name + "=" + c.Value + "; "
	}
	for _, c := range []struct {
		name  string
		extra [2]string
		want  string // status; "" for an ended stream
	}{
		{"nothing", [2]string{"x-a", "b"}, "200"},
		{"te trailers", [2]string{"te", "trailers"}, "200"},
		{"connection", [2]string{"connection", "x-remote-user"}, ""},
		{"transfer-encoding", [2]string{"transfer-encoding", "chunked"}, ""},
		{"keep-alive", [2]string{"keep-alive", "x"}, ""},
		{"upgrade", [2]string{"upgrade", "websocket"}, ""},
		{"te", [2]string{"te", "gzip"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			crm.take()
			status := raw2(t, d, cookie, c.extra)
			got := len(crm.take())
			if c.want == "200" && (status != "200" || got != 1) {
				t.Errorf("status %q, %d requests at the CRM: the test itself does not ask right", status, got)
			}
			if c.want == "" && (status == "200" || got != 0) {
				t.Errorf("status %q, %d requests at the CRM, want a refusal", status, got)
			}
		})
	}
}

// raw2 sends one HTTP/2 request by hand and returns its status, "" when the
// stream was reset.
func raw2(t *testing.T, d *demo, cookie string, extra [2]string) string {
	t.Helper()
	addr := strings.TrimPrefix(d.Gateway, "https://")
	conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, bufio.NewReader(conn))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = fr.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", addr}, {":path", "/app/api/me"}, {"cookie", strings.TrimSuffix(cookie, "; ")}, extra} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		}
	}
}

// TestBodySmuggling: two readings of one body length never get past the gate.
func TestBodySmuggling(t *testing.T) {
	d, crm := bridged(t)
	b := d.signedIn(t, "boss@acme.test")
	u, _ := url.Parse(d.Gateway)
	cookie := b.Jar.Cookies(u)[0]
	addr := strings.TrimPrefix(d.Gateway, "https://")
	for name, head := range map[string]string{
		"both lengths":       "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /app/export/leads.csv HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths":        "Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd",
		"a body on a GET":    "Content-Length: 44\r\n\r\nGET /app/export/leads.csv HTTP/1.1\r\nHost: x\r\n\r\n",
		"an unknown coding":  "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a space in a name":  "X-Remote-User : me\r\n\r\n",
		"a folded header":    "X-A: b\r\n X-Remote-User: me\r\n\r\n",
		"a bare line feed":   "X-A: b\nX-Remote-User: me\r\n\r\n",
		"a second Host line": "Host: other\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			crm.take()
			conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost"})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			fmt.Fprintf(conn, "GET /app/api/me HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n%s", addr, cookie.Name, cookie.Value, head)
			_ = conn.CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			for _, got := range crm.take() {
				if got.URI != "/app/api/me" || len(got.Body) != 0 || got.Header.Get("X-Remote-User") == "me" || got.Header.Get("X-Remote-Email") != "boss@acme.test" {
					t.Errorf("the CRM got %+v", got)
				}
			}
		})
	}
}

// TestUpgradesAreToWebSocketsAlone: a CRM's server may take every upgrade it is asked
// for, and then further requests over the connection, which nobody would judge.
func TestUpgradesAreToWebSocketsAlone(t *testing.T) {
	asked := make(chan string, 1)
	s := &setup{crm: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := r.Header.Get("Upgrade")
		asked <- to
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", to)
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))}
	d := s.start(t)
	d.add(t, "ravi@acme.test", "sales_user", crmUser{ID: "ravi-1"})
	cookie := d.signedIn(t, "ravi@acme.test").cookie(t, "__Host-crmgate")
	addr := strings.TrimPrefix(d.Gateway, "https://")
	for lines, want := range map[string]bool{
		"Upgrade: websocket": true, "Upgrade: WebSocket": true,
		"Upgrade: h2c": false, "Upgrade: TLS/1.0": false, "Upgrade: tcp": false, "Upgrade: websocket, h2c": false, "Upgrade: h2c, websocket": false,
		"Upgrade: websocket/13": false, "Upgrade: websocket\r\nUpgrade: h2c": false, "Upgrade: h2c\r\nUpgrade: websocket": false,
	} {
		t.Run(lines, func(t *testing.T) {
			conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost"})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(conn, "GET /app/socket HTTP/1.1\r\nHost: %s\r\nCookie: __Host-crmgate=%s\r\nSec-Fetch-Site: same-origin\r\nConnection: Upgrade\r\n%s\r\n\r\n", addr, cookie, lines)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := res.StatusCode == http.StatusSwitchingProtocols; got != want || !want && res.StatusCode != http.StatusForbidden {
				t.Errorf("answered %s", res.Status)
			}
			select {
			case to := <-asked:
				if !want {
					t.Errorf("the CRM was asked to upgrade to %q", to)
				}
			default:
			}
		})
	}
}

// TestBodiesAreReadAsTheyWereJudged: a CRM that reads a body as the form it calls itself
// finds in it what was judged, and no question about a masked field.
func TestBodiesAreReadAsTheyWereJudged(t *testing.T) {
	crm := new(recorder)
	d := (&setup{crm: serve(t, crm), policy: leakPolicy}).start(t)
	d.add(t, "ravi@acme.test", "sales_user", crmUser{ID: "ravi-1"})
	b := d.signedIn(t, "ravi@acme.test")
	const path, body = "/v2/LeadManagement.svc/Leads.Get", `{"Parameter":{"LookupName":"ProspectStage","LookupValue":"x&Parameter[LookupName]=Phone&Parameter[LookupValue]=98","SqlOperator":"="}}`
	for _, said := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-7", "text/xml", "text/plain", "application/json"} {
		crm.take()
		a := b.post(path, body, "Content-Type", said)
		got := crm.take()
		if a.StatusCode != http.StatusOK || len(got) != 1 || string(got[0].Body) != body {
			t.Fatalf("%s: %s, and the CRM got %+v", said, a.Status, got)
		}
		if v := got[0].Header.Values("Content-Type"); len(v) != 1 || v[0] != "application/json" {
			t.Errorf("a body of %s was judged as JSON and reached the CRM as %q", said, v)
		}
	}
}

// TestTrailersStayAtTheGate: what comes behind a body nobody read says nothing to the
// CRM; there are servers that take it for more of the header.
func TestTrailersStayAtTheGate(t *testing.T) {
	d, crm := bridged(t)
	cookie := d.signedIn(t, "boss@acme.test").cookie(t, "__Host-crmgate")
	addr := strings.TrimPrefix(d.Gateway, "https://")
	for _, path := range []string{"/mobile/v1/recordings", "/api/Authentication/Signout", "/v2/LeadManagement.svc/Leads.Get", "/nowhere"} {
		crm.take()
		conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nCookie: __Host-crmgate=%s\r\nSec-Fetch-Site: same-origin\r\nTrailer: X-Lsq-AccessKey, X-Remote-User\r\n"+
			"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\nX-Lsq-AccessKey: somebody\r\nX-Remote-User: somebody\r\nX-Remote-Role: somebody\r\n\r\n", path, addr, cookie)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
		got := crm.take()
		if len(got) != 1 || string(got[0].Body) != "{}" {
			t.Errorf("%s: the CRM got %+v", path, got)
			continue
		}
		if len(got[0].Trailer) > 0 || got[0].Header.Get("Trailer") != "" {
			t.Errorf("%s: the CRM got the trailers %v", path, got[0].Trailer)
		}
	}
}

// TestFragmentsAreRefused: many a server ends a query at "#", and with it the row scope
// that the gate has put behind what the client asked for.
func TestFragmentsAreRefused(t *testing.T) {
	crm := new(recorder)
	d := (&setup{crm: serve(t, crm), policy: leakPolicy}).start(t)
	d.add(t, "ravi@acme.test", "sales_user", crmUser{ID: "ravi-1"})
	b := d.signedIn(t, "ravi@acme.test")
	addr := strings.TrimPrefix(d.Gateway, "https://")
	cookie := b.cookie(t, "__Host-crmgate")
	for target, want := range map[string]string{
		"/app/api/leads?page=1": "200", "/app/api/leads?page=%23": "200", "/app/api/leads?page=1#": "400", "/app/api/leads?#": "400", "/app/api/leads?page=1#&x=2": "400",
	} {
		crm.take()
		conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: __Host-crmgate=%s\r\nConnection: close\r\n\r\n", target, addr, cookie)
		said, _ := io.ReadAll(conn)
		_ = conn.Close()
		if got := crm.take(); !strings.HasPrefix(string(said), "HTTP/1.1 "+want) || (want == "200") != (len(got) == 1) {
			t.Errorf("%s: %.60s, and the CRM got %+v", target, said, got)
		}
	}
}
