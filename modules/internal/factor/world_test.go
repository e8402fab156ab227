// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/records/sqlite"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

const (
	origin  = "https://crm.example.com"
	firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0"
	chrome  = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)

var (
	start  = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	office = netip.MustParseAddr("203.0.113.7")
	allof  = []string{TOTP, Passkey, Mail, SMS}
)

// world is two people, real stores and the messages that were sent.
type world struct {
	testing.TB
	*Manager
	clk      *clock.Fake
	records  records.Store
	state    state.Store
	vault    *vault.Vault
	ada, bob records.Person
	settings Settings
	mailErr  error

	mu   sync.Mutex
	sent []Message
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{TB: t, clk: clock.NewFake(start), settings: DefaultSettings()}
	w.settings.Device.Days = 30
	var err error
	w.state, err = embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "acme", Clock: w.clk})
	w.ok("opening the state", err)
	t.Cleanup(func() { _ = w.state.Close() })
	w.records, err = sqlite.Open(t.Context(), sqlite.Config{Path: t.TempDir() + "/r.db", Account: "acme", Clock: w.clk})
	w.ok("opening the records", err)
	t.Cleanup(func() { _ = w.records.Close() })
	w.vault, err = vault.New([]byte("0123456789abcdef0123456789abcdef"))
	w.ok("opening the vault", err)
	for id, p := range map[string]*records.Person{"ada": &w.ada, "bob": &w.bob} {
		*p, err = w.records.PutPerson(t.Context(), records.Person{ID: id, Email: id + "@example.com", Name: id, Role: "sales_user", UserType: "regular", Status: records.Active})
		w.ok("adding "+id, err)
	}
	w.Manager = w.gateway(change...)
	return w
}

// gateway is one more manager on the same stores.
func (w *world) gateway(change ...func(*Options)) *Manager {
	w.Helper()
	// The account's limit would hide those of this package.
	wide := attempts.Limit{Failures: 1000, Within: time.Minute}
	throttle, err := attempts.New(w.state, attempts.Options{Name: "second_factor", Account: wide, Pair: wide, Address: wide, Clock: w.clk})
	w.ok("making a throttle", err)
	o := Options{
		Records: w.records, State: w.state, Vault: w.vault, Name: "Acme CRM", Origin: origin, Clock: w.clk,
		Throttle: throttle, Mail: w.send, SMS: w.send, Settings: func() Settings { return w.settings },
	}
	for _, fn := range change {
		fn(&o)
	}
	m, err := New(o)
	w.ok("starting", err)
	return m
}

func (w *world) send(_ context.Context, msg Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mailErr != nil {
		return w.mailErr
	}
	w.sent = append(w.sent, msg)
	return nil
}

// last is the code that was sent last.
func (w *world) last() string {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sent) == 0 {
		w.Fatal("no code was sent")
	}
	return string(w.sent[len(w.sent)-1].Code.Reveal())
}

func (w *world) ok(doing string, err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%s: %v", doing, err)
	}
}

func (w *world) is(doing string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("%s: %v, want %v", doing, err, want)
	}
}

// begin makes a pending sign-in and returns who holds it.
func (w *world) begin(p records.Person, due ...Due) Holder {
	w.Helper()
	secret, _, err := w.Begin(w.Context(), Start{
		PersonID: p.ID, Purpose: SignIn, Provider: "local", Methods: []string{"pwd"}, Due: due, Kinds: allof,
		Return: "/leads", Agent: firefox, IP: office, Data: []byte("own"),
	})
	w.ok("beginning", err)
	return Holder{Secret: secret, Agent: firefox, IP: office}
}

// at is a session of a person in which factors are set up.
func (w *world) at(p records.Person) At {
	return At{Person: p, Session: "s-" + p.ID, From: Holder{Agent: firefox, IP: office}}
}

// totp sets up an app and returns its secret. The step used for it is over.
func (w *world) totp(p records.Person) string {
	w.Helper()
	e, err := w.BeginEnrol(w.Context(), w.at(p), TOTP)
	w.ok("beginning TOTP", err)
	secret := strings.ReplaceAll(e.Secret, " ", "")
	_, err = w.FinishEnrol(w.Context(), w.at(p), Proof{Kind: TOTP, Code: w.code(secret)}, "phone")
	w.ok("finishing TOTP", err)
	w.clk.Advance(time.Minute)
	return secret
}

// code asks oathtool, the app of another maker.
func (w *world) code(secret string) string { return w.codeAt(secret, w.clk.Now()) }

func (w *world) codeAt(secret string, at time.Time) string {
	w.Helper()
	out, err := exec.Command("oathtool", "--totp", "--base32", "--now", at.UTC().Format("2006-01-02 15:04:05 UTC"), secret).Output()
	if err != nil {
		w.Fatalf("asking oathtool (apt-get install oathtool): %v", err)
	}
	return strings.TrimSpace(string(out))
}

// passkey registers one.
func (w *world) passkey(p records.Person) *factortest.Authenticator {
	w.Helper()
	a := factortest.New(origin)
	w.ok("registering", w.register(p, a))
	return a
}

func (w *world) register(p records.Person, a *factortest.Authenticator) error {
	w.Helper()
	e, err := w.BeginEnrol(w.Context(), w.at(p), Passkey)
	if err != nil {
		return err
	}
	answer, err := a.Create(e.Creation)
	if err != nil {
		return err
	}
	_, err = w.FinishEnrol(w.Context(), w.at(p), Proof{Kind: Passkey, Response: answer}, "key")
	return err
}

// mailFactor sets up codes by mail.
func (w *world) mailFactor(p records.Person) {
	w.Helper()
	_, err := w.BeginEnrol(w.Context(), w.at(p), Mail)
	w.ok("beginning mail", err)
	_, err = w.FinishEnrol(w.Context(), w.at(p), Proof{Kind: Mail, Code: w.last()}, "")
	w.ok("finishing mail", err)
	w.clk.Advance(time.Minute)
}

// finished is a sign-in that ended with a second factor.
func (w *world) finished(p records.Person, secret string) Pending {
	w.Helper()
	h := w.begin(p, DueSecondFactor)
	_, err := w.Prove(w.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("proving", err)
	done, err := w.Finish(w.Context(), h)
	w.ok("finishing", err)
	w.clk.Advance(time.Minute)
	return done
}

// parallel runs fn fifty times at once and returns how often it was nil.
func parallel(fn func(i int) error) (won int, errs []error) {
	const n = 50
	begin, done := make(chan struct{}), make(chan error)
	for i := range n {
		go func() {
			<-begin
			done <- fn(i)
		}()
	}
	close(begin)
	for range n {
		if err := <-done; err == nil {
			won++
		} else {
			errs = append(errs, err)
		}
	}
	return won, errs
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
