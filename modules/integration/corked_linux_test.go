// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/cork/corktest"
)

// TestAnswersLeaveAtOnce: header and body of an answer of 10 KB leave in one system
// call where the server has the listener wrapper, for roles with masks and without; and
// they arrive as well where it has not.
func TestAnswersLeaveAtOnce(t *testing.T) {
	const lead = `{"ProspectID":"l-1","Phone":"+91-9812345670","ProspectStage":"Qualified","FirstName":"Ann"}`
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack() // to send an answer in one piece
		if err != nil {
			t.Errorf("taking over the connection: %v", err)
			return
		}
		defer conn.Close()
		body := `{"RecordCount":100,"Leads":[` + strings.Repeat(lead+",", 99) + lead + `]}`
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}))
	t.Cleanup(crm.Close)
	plain, gate, without, behind, h1 := freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	proxied, proxiedTLS := freeAddr(t), freeAddr(t)
	s := &setup{crm: crm.URL, policy: `version: 1
account: acme
templates:
  masked: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
assign: [{template: masked, roles: [sales_manager]}]
`}
	s.global = fmt.Sprintf(`
	servers :%s {
		listener_wrappers {
			crmgate
		}
	}
	servers :%s {
		listener_wrappers {
			crmgate
			tls
		}
	}
	servers 127.0.0.1:%s {
		listener_wrappers {
			crmgate
		}
	}
	servers :%s {
		protocols h1
		listener_wrappers {
			crmgate
		}
	}
	servers :%s {
		listener_wrappers {
			crmgate
			proxy_protocol {
				allow 127.0.0.1/32
			}
		}
	}
	servers 127.0.0.1:%s {
		listener_wrappers {
			crmgate
			proxy_protocol {
				allow 127.0.0.1/32
			}
			tls
		}
	}`, portOf(plain), portOf(gate), portOf(behind), portOf(h1), portOf(proxied), portOf(proxiedTLS))
	s.more = fmt.Sprintf(`
http://127.0.0.1:%s, http://127.0.0.1:%s, http://127.0.0.1:%s, http://127.0.0.1:%s {
	crmgate_proxy {upstream}
}
http://127.0.0.1:%s {
	handle {
		crmgate
		reverse_proxy {upstream} {
			transport crmgate
		}
	}
}
https://localhost:%s, https://localhost:%s {
	bind 127.0.0.1
	tls internal
	crmgate_proxy {upstream}
}
`, portOf(plain), portOf(without), portOf(h1), portOf(proxied), portOf(gate), portOf(behind), portOf(proxiedTLS))
	const proxy = "PROXY TCP4 127.0.0.2 127.0.0.1 50000 443\r\n"
	d := s.start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{})
	d.add(t, "mira@acme.test", "sales_manager", crmUser{})
	for _, who := range []string{"boss@acme.test", "mira@acme.test"} {
		b := d.signedIn(t, who)
		home, err := url.Parse(d.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		var cookies []string
		for _, c := range b.Jar.Cookies(home) {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		for _, c := range []struct {
			site, addr string
			roots      *x509.CertPool
			greeting   string
			atOnce     bool
		}{
			{"plain", plain, nil, "", true},
			{"plain, and tls named behind it", gate, nil, "", true},
			{"not named", without, nil, "", false},
			{"of HTTP/1 alone", h1, nil, "", false},
			{"TLS, named before it", home.Host, d.pool, "", true},
			{"TLS, named alone", "localhost:" + portOf(behind), d.pool, "", false},
			{"behind a load balancer with the PROXY protocol", proxied, nil, proxy, true},
			{"behind such a one, TLS", "localhost:" + portOf(proxiedTLS), d.pool, proxy, true},
		} {
			n, body := arrivesIn(t, c.addr, c.roots, c.greeting, "Cookie: "+strings.Join(cookies, "; ")+"\r\n")
			if strings.Count(body, "Qualified") != 100 || strings.Contains(body, "9812345670") != (who == "boss@acme.test") {
				t.Errorf("%s, %s: not what may be seen there: %.200s", who, c.site, body)
			}
			if c.atOnce && n != 1 || !c.atOnce && n < 2 {
				t.Errorf("%s, %s: an answer arrives in %d pieces; at once is wanted: %v", who, c.site, n, c.atOnce)
			}
		}
	}
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// arrivesIn asks for leads, after the greeting, and returns in how many segments the
// answer came.
func arrivesIn(t *testing.T, addr string, roots *x509.CertPool, greeting, headers string) (segments int, body string) {
	t.Helper()
	tcp, err := net.Dial("tcp", "127.0.0.1:"+portOf(addr))
	if err != nil {
		t.Fatalf("dialling: %v", err)
	}
	defer tcp.Close()
	if _, err := io.WriteString(tcp, greeting); err != nil {
		t.Fatalf("greeting: %v", err)
	}
	conn := tcp
	if roots != nil {
		conn = tls.Client(tcp, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	}
	in := bufio.NewReader(conn)
	ask := func() (before int) {
		_, before = corktest.Segments(t, tcp.(*net.TCPConn))
		if _, err := io.WriteString(conn, "GET /app/api/leads HTTP/1.1\r\nHost: "+addr+"\r\nAccept: application/json\r\n"+headers+"\r\n"); err != nil {
			t.Fatalf("asking: %v", err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("reading the answer: %v", err)
		}
		raw, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("reading the answer: %s, %v", resp.Status, err)
		}
		body = string(raw)
		return before
	}
	ask() // with TLS, what its handshake leaves for later comes with the first answer
	before := ask()
	_, after := corktest.Segments(t, tcp.(*net.TCPConn))
	return after - before, body
}
