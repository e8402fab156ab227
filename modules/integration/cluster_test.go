// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// cluster is two gateways of one account with caddyfiles/cluster.Caddyfile, a real
// PostgreSQL and a real Redis between them, and one CRM behind both.
type cluster struct {
	t     *testing.T // of the whole cluster, which outlives the tests on it
	pg    *testpeer.Postgres
	redis *testpeer.Redis
	crm   string
	dsn   string
	key   string
	file  string // the Caddyfile
	a, b  *demo
}

// within is how long what was done on one gateway may take to hold on the other.
const within = time.Second

// member starts one gateway. before is the one that ran in its place, nil for none.
func (c *cluster) member(name string, before *demo) *demo {
	t := c.t
	t.Helper()
	d := &demo{CRM: c.crm}
	if before != nil {
		d.data, d.Admin, d.Gateway = before.data, before.Admin, before.Gateway
	} else {
		d.data, d.Admin = t.TempDir(), freeAddr(t)
		_, port, _ := net.SplitHostPort(freeAddr(t))
		d.Gateway = "https://localhost:" + port
	}
	policy, err := filepath.Abs("../../caddyfiles/quickstart-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d.process, _ = start(t, []string{
		"CRMGATE_NODE=" + name, "CRMGATE_DATA=" + d.data, "CRMGATE_ADMIN=" + d.Admin, "CRMGATE_KEY=" + c.key,
		"CRMGATE_PORT=" + strings.TrimPrefix(d.Gateway, "https://localhost:"), "CRMGATE_POLICY=" + policy,
		"CRM_ADDRESS=" + strings.TrimPrefix(c.crm, "http://"), "DATABASE_URL=" + c.dsn, "REDIS_URL=" + c.redis.URL(),
	}, "run", "--config", c.file, "--adapter", "caddyfile")
	d.ready(t)
	d.pool = certPool(t, filepath.Join(d.data, "caddy", "pki", "authorities", "local", "root.crt"))
	d.handshake(t)
	return d
}

// handshake waits until the gateway has its certificate.
func (d *demo) handshake(t testing.TB) {
	t.Helper()
	eventually(t, 20*time.Second, "the gateway's certificate is there", func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(d.Gateway, "https://"), &tls.Config{RootCAs: d.pool})
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// ready waits until the gateway's admin API answers.
func (d *demo) ready(t testing.TB) {
	t.Helper()
	eventually(t, 90*time.Second, "the gateway is ready", func() bool {
		select {
		case <-d.done:
			t.Fatalf("the gateway did not start:\n%s", d.log())
		default:
		}
		status, _ := d.tryAdmin(http.MethodGet, "/crmgate/info", "")
		return status == http.StatusOK
	})
}

// startCluster starts everything. calls replaces the quota of the Caddyfile.
func startCluster(t *testing.T, calls string) *cluster {
	t.Helper()
	keysOf(t, "asha@acme.test") // builds the demo CRM
	c := &cluster{t: t, pg: testpeer.StartPostgres(t), redis: testpeer.StartRedis(t)}
	c.dsn = c.pg.NewDatabase("crmgate")
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	c.key = base64.StdEncoding.EncodeToString(key)
	text, err := os.ReadFile("../../caddyfiles/cluster.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "calls 25 5s", calls, 1)
	if calls != "" && changed == string(text) {
		t.Fatal("cluster.Caddyfile has another quota now; change it here too")
	}
	c.file = filepath.Join(t.TempDir(), "cluster.Caddyfile")
	write(t, c.file, changed)

	crm := exec.Command(binary+"-democrm", "--leads", "200", "--listen", "127.0.0.1:0", "--json")
	crm.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := crm.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := crm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = crm.Process.Kill()
		_ = crm.Wait()
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	_, rest, _ := strings.Cut(line, `"url":"`)
	c.crm, _, _ = strings.Cut(rest, `"`)
	if c.crm == "" {
		t.Fatalf("the demo CRM said %q", line)
	}
	c.a = c.member("gateway-a", nil)
	c.b = c.member("gateway-b", nil)
	for email, role := range map[string]string{"ravi@acme.test": "sales_user", "manager@acme.test": "sales_manager"} {
		c.a.add(t, email, role, keysOf(t, email))
	}
	c.a.pool.AppendCertsFromPEM(rootOf(t, c.b))
	c.b.pool.AppendCertsFromPEM(rootOf(t, c.a))
	return c
}

// rootOf reads a gateway's certificate authority, so that one browser can talk to
// both.
func rootOf(t testing.TB, d *demo) []byte {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(d.data, "caddy", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

// visitor signs somebody in at a gateway.
func visitor(t testing.TB, at *demo, email string) *browser {
	t.Helper()
	b := at.browser(t)
	if a := b.signIn(email, password); a.StatusCode != http.StatusOK {
		t.Fatalf("signing %s in: %s %s", email, a.Status, a.text())
	}
	return b
}

const leads = "/app/api/leads"

// at makes a request of a session's at a gateway and returns status and reason.
func (b *browser) at(d *demo, path string) (int, string) {
	a := b.get(d.Gateway + path)
	return a.StatusCode, a.reason()
}

func TestCluster(t *testing.T) {
	c := startCluster(t, "calls 6 10m")
	t.Run("people", c.people)
	t.Run("one session", c.oneSession)
	t.Run("lock", c.lock)
	t.Run("deactivate", c.deactivate)
	t.Run("failures add up", c.failures)
	t.Run("quotas add up", c.quotas)
	t.Run("kill", c.killed)
	t.Run("redis away", c.redisAway)
	t.Run("postgres away", c.postgresAway)
	t.Run("chains", c.chains)
}

// people: who is added on one gateway signs in on the other.
func (c *cluster) people(t *testing.T) {
	u := keysOf(t, "asha@acme.test")
	out, err := runBinary(t, password+"\n", "user", "add", u.Email, "--role", "sales_user", "--name", "Asha", "--owner-id", u.ID, "--address", c.a.Admin)
	if err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	eventually(t, within, "a person added on one gateway signs in on the other", func() bool {
		return c.b.browser(t).signIn(u.Email, password).StatusCode == http.StatusOK
	})
	if out, err = runBinary(t, u.AccessKey+"\n"+u.SecretKey+"\n", "user", "key", u.Email, "--address", c.a.Admin); err != nil {
		t.Fatalf("user key: %v\n%s", err, out)
	}
	b := visitor(t, c.b, u.Email)
	eventually(t, within, "a CRM key pair stored on one gateway is used by the other", func() bool {
		status, _ := b.at(c.b, leads)
		return status == http.StatusOK
	})
}

// oneSession: a session is good on both gateways, and ends on both.
func (c *cluster) oneSession(t *testing.T) {
	b := visitor(t, c.a, "ravi@acme.test")
	for name, d := range map[string]*demo{"where it was made": c.a, "on the other": c.b} {
		if status, reason := b.at(d, leads); status != http.StatusOK {
			t.Errorf("a session %s: %d %s, want 200", name, status, reason)
		}
	}
	if a := b.post(c.b.Gateway+"/.crmgate/api/sign-out", ""); a.StatusCode != http.StatusNoContent {
		t.Fatalf("signing out on the other gateway: %s %s", a.Status, a.text())
	}
	eventually(t, within, "a session signed out on one gateway is out on the other", func() bool {
		status, _ := b.at(c.a, leads)
		return status == http.StatusUnauthorized
	})
}

// heldOpen is a connection that stays open until somebody cuts it.
type heldOpen struct {
	name string
	gone chan time.Time
}

// watch opens a WebSocket and an event stream and notes when they end.
func (c *cluster) watch(t testing.TB, b *browser, d *demo) []heldOpen {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	header := http.Header{"Origin": {d.Gateway}}
	client := *b.Client
	client.Timeout = 0
	ws, _, err := websocket.Dial(ctx, d.Gateway+"/app/socket", &websocket.DialOptions{HTTPClient: &client, HTTPHeader: header})
	if err != nil {
		t.Fatalf("opening a WebSocket: %v", err)
	}
	if _, _, err := ws.Read(ctx); err != nil {
		t.Fatalf("the WebSocket's first message: %v", err)
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, d.Gateway+"/app/api/events", nil)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := client.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("opening the event stream: %v %v", res, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	events := bufio.NewReader(res.Body)
	if _, err := events.ReadString('\n'); err != nil {
		t.Fatalf("the stream's first event: %v", err)
	}
	out := []heldOpen{{"WebSocket", make(chan time.Time, 1)}, {"event stream", make(chan time.Time, 1)}}
	go func() {
		for {
			if _, _, err := ws.Read(ctx); err != nil {
				out[0].gone <- time.Now()
				return
			}
		}
	}()
	go func() {
		for {
			if _, err := events.ReadString('\n'); err != nil {
				out[1].gone <- time.Now()
				return
			}
		}
	}()
	return out
}

// lock: a lock set at one gateway ends what is live at the other.
func (c *cluster) lock(t *testing.T) {
	b := visitor(t, c.a, "ravi@acme.test")
	other := visitor(t, c.a, "manager@acme.test")
	connections := c.watch(t, b, c.b)
	out, err := runBinary(t, "", "lock", "--address", c.a.Admin, "--user", "ravi@acme.test", "--message", "Back at nine")
	if err != nil {
		t.Fatalf("lock: %v\n%s", err, out)
	}
	set := time.Now()
	eventually(t, within, "a lock set on one gateway refuses on the other", func() bool {
		_, reason := b.at(c.b, leads)
		return reason == "locked"
	})
	for _, l := range connections {
		select {
		case at := <-l.gone:
			t.Logf("%s cut %s after the command returned", l.name, at.Sub(set).Round(time.Millisecond))
		case <-time.After(time.Until(set.Add(within))):
			t.Errorf("the %s at the other gateway outlived the lock by a second", l.name)
		}
	}
	if status, reason := other.at(c.b, leads); status != http.StatusOK {
		t.Errorf("somebody who is not locked: %d %s, want 200", status, reason)
	}
	if a := c.b.browser(t).signIn("ravi@acme.test", password); a.reason() != "locked" || !strings.Contains(a.text(), "Back at nine") {
		t.Errorf("signing in under a lock: %s %s, want locked and its message", a.Status, a.text())
	}
	id := strings.Fields(out)[1]
	if out, err := runBinary(t, "", "unlock", id, "--address", c.b.Admin); err != nil {
		t.Fatalf("unlock: %v\n%s", err, out)
	}
	eventually(t, within, "a lock lifted on the other gateway lets people in again", func() bool {
		return c.a.browser(t).signIn("ravi@acme.test", password).StatusCode == http.StatusOK
	})
	if status, _ := b.at(c.b, leads); status == http.StatusOK {
		t.Error("the session a lock ended came back with the lock's end")
	}
}

// deactivate: who is put out on one gateway is out on the other.
func (c *cluster) deactivate(t *testing.T) {
	b := visitor(t, c.b, "ravi@acme.test")
	connections := c.watch(t, b, c.b)
	c.a.admin(t, http.MethodPatch, "/crmgate/people/ravi@acme.test", `{"status":"inactive"}`)
	set := time.Now()
	eventually(t, within, "who is deactivated on one gateway is out on the other", func() bool {
		status, _ := b.at(c.b, leads)
		return status == http.StatusUnauthorized || status == http.StatusForbidden
	})
	for _, l := range connections {
		select {
		case <-l.gone:
		case <-time.After(time.Until(set.Add(within))):
			t.Errorf("the %s of somebody deactivated is still open after a second", l.name)
		}
	}
	if a := c.b.browser(t).signIn("ravi@acme.test", password); a.StatusCode == http.StatusOK {
		t.Error("somebody deactivated on one gateway signed in on the other")
	}
	c.a.admin(t, http.MethodPatch, "/crmgate/people/ravi@acme.test", `{"status":"active"}`)
	eventually(t, within, "who is activated again signs in on the other gateway", func() bool {
		return c.b.browser(t).signIn("ravi@acme.test", password).StatusCode == http.StatusOK
	})
}

// failures: guesses are counted over both gateways.
func (c *cluster) failures(t *testing.T) {
	email := "guessed@acme.test"
	c.a.add(t, email, "sales_user", crmUser{})
	for i, d := range []*demo{c.a, c.b, c.a, c.b, c.a} {
		if a := d.browser(t).signIn(email, "not it"); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("wrong password %d: %s %s, want 401", i+1, a.Status, a.text())
		}
	}
	for name, d := range map[string]*demo{"a": c.a, "b": c.b} {
		if a := d.browser(t).signIn(email, password); a.StatusCode != http.StatusTooManyRequests {
			t.Errorf("the right password on gateway %s after five wrong ones on both: %s, want 429", name, a.Status)
		}
	}
}

// quotas: the calls of a program are counted over both gateways.
func (c *cluster) quotas(t *testing.T) {
	u := keysOf(t, "manager@acme.test")
	call := func(d *demo) int {
		return d.browser(t).get("/v2/LeadManagement.svc/LeadsMetaData.Get",
			"x-LSQ-AccessKey", u.AccessKey, "x-LSQ-SecretKey", u.SecretKey, "Sec-Fetch-Site", "").StatusCode
	}
	for i, d := range []*demo{c.a, c.b, c.a, c.b, c.a, c.b} {
		if status := call(d); status != http.StatusOK {
			t.Fatalf("call %d of 6: %d, want 200", i+1, status)
		}
	}
	for name, d := range map[string]*demo{"a": c.a, "b": c.b} {
		if status := call(d); status != http.StatusTooManyRequests {
			t.Errorf("the seventh call, on gateway %s: %d, want 429: quotas do not add up", name, status)
		}
	}
}

// chains: both gateways find every record of both in order.
func (c *cluster) chains(t *testing.T) {
	for name, d := range map[string]*demo{"a": c.a, "b": c.b} {
		out, err := runBinary(t, "", "audit", "verify", "--address", d.Admin)
		if err != nil || !strings.Contains(out, "in 2 chains") {
			t.Errorf("audit verify on gateway %s: %v\n%s", name, err, out)
		}
		t.Logf("gateway %s: %s", name, strings.TrimSpace(out))
	}
}
