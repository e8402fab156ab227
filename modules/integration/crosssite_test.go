// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestCrossSite: another site's page changes nothing with somebody's session.
func TestCrossSite(t *testing.T) {
	crm := new(recorder)
	d := (&setup{crm: serve(t, crm)}).start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{})
	b := d.signedIn(t, "boss@acme.test")
	const del = "/v2/LeadManagement.svc/Lead/Delete/ById?leadId=" + knownLead
	const done = "/v2/Task.svc/MarkComplete?id=1"
	for _, c := range []struct {
		name, method, path string
		header             []string
		want               int
	}{
		{"deleting by GET from another site", "GET", del, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"from a sister site", "GET", del, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"from an image", "GET", del, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"a followed link", "GET", del, []string{"Sec-Fetch-Site", "none"}, 403},
		{"completing by GET", "GET", done, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"an old browser, another origin", "GET", del, []string{"Sec-Fetch-Site", "", "Referer", "https://evil.example/"}, 403},
		{"an old browser that says nothing", "GET", del, []string{"Sec-Fetch-Site", ""}, 403},
		{"a post", "POST", "/app/api/leads/" + knownLead, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a post with a foreign origin", "POST", "/app/api/leads/" + knownLead, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, 403},
		{"a post with a null origin", "POST", "/app/api/leads/" + knownLead, []string{"Sec-Fetch-Site", "", "Origin", "null"}, 403},
		{"a socket", "GET", "/app/socket", []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example", "Upgrade", "websocket", "Connection", "Upgrade"}, 403},
		{"our own page deletes", "GET", del, nil, 200},
		{"our own page posts", "POST", "/app/api/leads/" + knownLead, []string{"Sec-Fetch-Site", "", "Origin", d.Gateway}, 200},
		{"reading by a link", "GET", "/app/api/me", []string{"Sec-Fetch-Site", "cross-site"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			crm.take()
			body := ""
			if c.method == "POST" {
				body = `{"FirstName":"A"}`
			}
			client := b.over(false)
			a := client.send(c.method, c.path, body, c.header...)
			if a.StatusCode != c.want || (c.want == 200) != (len(crm.take()) == 1) {
				t.Errorf("%s %s, want %d", a.Status, a.reason(), c.want)
			}
		})
	}

	t.Run("two session cookies", func(t *testing.T) {
		crm.take()
		u, _ := url.Parse(d.Gateway)
		cookie := b.Jar.Cookies(u)[0]
		addr := strings.TrimPrefix(d.Gateway, "https://")
		for _, second := range []string{cookie.Name + "=other", cookie.Name + "=" + cookie.Value, strings.ToUpper(cookie.Name) + "=other"} {
			conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost"})
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(conn, "GET /app/api/me HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nCookie: %s=%s; %s\r\n\r\n", addr, cookie.Name, cookie.Value, second)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			_ = conn.Close()
			exact := strings.HasPrefix(second, cookie.Name)
			cleared := strings.Contains(strings.Join(res.Header["Set-Cookie"], "\n"), "Max-Age=0")
			if exact && (res.StatusCode == http.StatusOK || !cleared || len(crm.take()) != 0) {
				t.Errorf("with %q: %s, cleared %v: nobody can say whose session it is", second, res.Status, cleared)
			}
			for _, got := range crm.take() {
				if strings.Contains(strings.ToLower(headerText(got.Header)), "crmgate=") {
					t.Errorf("with %q a cookie of the gate reached the CRM: %v", second, got.Header)
				}
			}
		}
	})
}

// TestConfusion: however a path is spelled, what is refused stays refused.
func TestConfusion(t *testing.T) {
	d := sharedDemo(t)
	b := d.signedIn(t, "asha@acme.test")
	u, _ := url.Parse(d.Gateway)
	cookie := b.Jar.Cookies(u)[0]
	addr := strings.TrimPrefix(d.Gateway, "https://")
	ask := func(target string) (int, string) {
		conn, err := tls.Dial("tcp", strings.Replace(addr, "localhost", "127.0.0.1", 1), &tls.Config{RootCAs: d.pool, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nSec-Fetch-Site: same-origin\r\nCookie: %s=%s\r\nConnection: close\r\n\r\n", target, addr, cookie.Name, cookie.Value)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, ""
		}
		defer res.Body.Close()
		var sb strings.Builder
		_, _ = bufio.NewReader(res.Body).WriteTo(&sb)
		return res.StatusCode, sb.String()
	}
	if status, body := ask("/app/api/me"); status != 200 || !strings.Contains(body, "asha@") {
		t.Fatalf("an honest request: %d %s", status, body)
	}
	const print = "/app/print/leads/" + knownLead
	for _, target := range []string{
		print, "//app/print/leads/" + knownLead, "/app//print//leads/" + knownLead, "/app/./print/leads/" + knownLead,
		"/app/api/../print/leads/" + knownLead, "/app/%70rint/leads/" + knownLead, "/app%2fprint%2fleads%2f" + knownLead,
		"/app/%2e/print/leads/" + knownLead, "/app/api/%2e%2e/print/leads/" + knownLead, "/app;x=1/print/leads/" + knownLead,
		"/app/print;a/leads/" + knownLead, print + ";a", print + ".", print + "/", print + "%20", print + "%00", print + "%09", "/APP/PRINT/LEADS/" + knownLead,
		`/app\print\leads\` + knownLead, "/app/%5cprint/leads/" + knownLead, "/app/print%252fleads/" + knownLead, print + "?", print + "#x", print + "%23", print + "%3f",
		"/app/%c0%afprint/leads/" + knownLead, "/app/p%u0072int/leads/" + knownLead, "/app/print/leads/" + strings.ToUpper(knownLead), "*", d.Gateway + print, "http://localhost" + print,
		"/app/export/leads.csv", "/app/export/leads.CSV", "/app/export/leads.csv/", "/app/export//leads.csv", "/app/export/leads%2ecsv", "/app/export/leads.csv;", "/app/export/leads.csv.", "/app/export/x/../leads.csv",
		"/v2/LeadManagement.svc/Lead/Delete/ById?leadId=" + knownLead, "/v2/leadmanagement.svc/lead/delete/byid/?leadId=" + knownLead, "/v2/LeadManagement.svc//Lead/Delete/ById?leadId=" + knownLead,
		"/v2/LeadManagement.svc/Lead/Delete/ById;?leadId=" + knownLead, "/v2/LeadManagement.svc/Lead%2fDelete/ById?leadId=" + knownLead, "/.crmgate/../app/print/leads/" + knownLead, "/app/static/../print/leads/" + knownLead, "/app/static/%2e%2e/print/leads/" + knownLead, "/app/static/..%2fprint/leads/" + knownLead, "/app/static/..;/print/leads/" + knownLead,
	} {
		status, body := ask(target)
		if status == 200 {
			t.Errorf("GET %s: 200\n%.300s", target, body)
		}
		if strings.Contains(body, "9876543210") || strings.Contains(body, "ishaan.kapoor") {
			t.Errorf("GET %s tells asha the phone", target)
		}
	}
	if a := d.signedIn(t, "admin@acme.test").get("/app/api/leads/" + knownLead); a.StatusCode != http.StatusOK {
		t.Errorf("asha deleted the lead by a path: %s", a.Status)
	}
}
