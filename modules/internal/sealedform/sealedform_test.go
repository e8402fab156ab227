// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sealedform

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

var (
	client = netip.MustParseAddr("203.0.113.7")
	begin  = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
)

func newForms(t testing.TB) (*Forms, *clock.Fake) {
	t.Helper()
	now := clock.NewFake(begin)
	st, err := embedded.Open(context.Background(), embedded.Config{Path: t.TempDir(), Account: "a", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	v, err := vault.New(bytes.Repeat([]byte{7}, vault.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{State: st, Vault: v, Clock: now}), now
}

func (f *Forms) key(t testing.TB) Key {
	t.Helper()
	k, err := f.Key(context.Background(), client)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(t testing.TB, k JWK) *ecdsa.PublicKey {
	t.Helper()
	number := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(b) != 32 {
			t.Fatalf("a coordinate is not 32 bytes of base64url: %q", s)
		}
		return b
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, number(k.X), number(k.Y)))
	if err != nil {
		t.Fatal("the page got no point of the curve:", err)
	}
	return key
}

// sealed seals as any JOSE library would.
func sealed(t testing.TB, k Key, plain string, change func(*jose.EncrypterOptions, *jose.Recipient)) string {
	t.Helper()
	return sealedWith(t, k, jose.A256GCM, plain, change)
}

func sealedWith(t testing.TB, k Key, enc jose.ContentEncryption, plain string, change func(*jose.EncrypterOptions, *jose.Recipient)) string {
	t.Helper()
	o, r := &jose.EncrypterOptions{}, jose.Recipient{Algorithm: jose.ECDH_ES, Key: public(t, k.JWK), KeyID: k.ID}
	if change != nil {
		change(o, &r)
	}
	e, err := jose.NewEncrypter(enc, r, o)
	if err != nil {
		t.Fatal(err)
	}
	message, err := e.Encrypt([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	out, err := message.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func form(k Key) string {
	return fmt.Sprintf(`{"password":"Trés-Bon 42","nonce":%q}`, k.Nonce)
}

func TestThePageSealsWhatTheGateOpens(t *testing.T) {
	f, _ := newForms(t)
	k := f.key(t)
	told, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "seal.mjs")
	program := string(Script) + `
const [key, fields] = JSON.parse(process.argv[2]);
process.stdout.write(await seal(key, fields));
`
	if err := os.WriteFile(script, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	fields := `{"email":"mona@example.com","password":"Trés-Bon \"42\" \u2603\ud83d\ude00","new_password":"` + strings.Repeat("n", 1024) + `"}`
	cmd := exec.CommandContext(t.Context(), "node", script, "["+string(told)+","+fields+"]")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node, which runs the page's script, failed: %v: %s", err, complaint.String())
	}
	got, err := f.Open(t.Context(), string(out))
	if err != nil {
		t.Fatalf("nobody can sign in: %v", err)
	}
	if got.Email != "mona@example.com" || string(got.Password.Reveal()) != "Trés-Bon \"42\" \u2603\U0001F600" || len(got.NewPassword.Reveal()) != 1024 {
		t.Errorf("the form came out as %q %q %d", got.Email, got.Password.Reveal(), len(got.NewPassword.Reveal()))
	}
}

// vector is a message as the first release read it: pages and apps that are not
// renewed together with the gate go on working.
type vector struct {
	Key     Key    `json:"key"`
	Private string `json:"private"` // of the key, 32 bytes
	JWE     string `json:"jwe"`
	Form    struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	} `json:"form"`
}

func TestVector(t *testing.T) {
	raw, err := os.ReadFile("testdata/vector.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	private, _ := base64.RawURLEncoding.DecodeString(v.Private)
	priv, err := ecdh.P256().NewPrivateKey(private)
	if err != nil || encode(priv.PublicKey().Bytes()[1:33]) != v.Key.JWK.X {
		t.Fatalf("the vector's keys do not belong together: %v", err)
	}
	id, err := readHeader(v.JWE)
	if err != nil || id != v.Key.ID {
		t.Fatalf("header: %v", err)
	}
	message, err := jose.ParseEncryptedCompact(v.JWE, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		t.Fatal(err)
	}
	got, err := decrypt(message, held{Private: private, Nonce: v.Key.Nonce})
	if err != nil || string(got.Password.Reveal()) != v.Form.Password || got.Email != v.Form.Email {
		t.Errorf("the vector of the package's text does not open: %v", err)
	}
}

func TestOnceOnly(t *testing.T) {
	f, now := newForms(t)
	k := f.key(t)
	message := sealed(t, k, form(k), nil)
	if got, err := f.Open(t.Context(), message); err != nil || string(got.Password.Reveal()) != "Trés-Bon 42" || !got.NewPassword.Empty() {
		t.Fatalf("%v", err)
	}
	for range 2 {
		if _, err := f.Open(t.Context(), message); !errors.Is(err, ErrReplayed) {
			t.Errorf("a recorded form signs in: %v", err)
		}
	}
	if _, err := f.Open(t.Context(), sealed(t, k, form(k), nil)); !errors.Is(err, ErrReplayed) {
		t.Errorf("a key opens two forms: %v", err)
	}

	k = f.key(t)
	message = sealed(t, k, form(k), nil)
	now.Advance(Lifetime)
	if _, err := f.Open(t.Context(), message); !errors.Is(err, ErrExpired) {
		t.Errorf("a key has no end: %v", err)
	}
	if _, err := f.Open(t.Context(), message); !errors.Is(err, ErrExpired) {
		t.Errorf("a second time: %v", err)
	}

	// A store that is late in forgetting must not make a key live longer.
	k = f.key(t)
	message = sealed(t, k, form(k), nil)
	entry, err := f.o.State.Get(t.Context(), prefix+k.ID)
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(Lifetime)
	if err := f.o.State.Put(t.Context(), prefix+k.ID, entry.Value, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(t.Context(), message); !errors.Is(err, ErrExpired) {
		t.Errorf("a key lives as long as the store remembers it: %v", err)
	}

	k = f.key(t)
	message = sealed(t, k, form(k), nil)
	var opened atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := f.Open(context.Background(), message); err == nil {
				opened.Add(1)
			} else if !errors.Is(err, ErrReplayed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if opened.Load() != 1 {
		t.Errorf("a form sent 50 times at once opened %d times", opened.Load())
	}
}

func TestMalformed(t *testing.T) {
	f, _ := newForms(t)
	header := func(h string) string { return encode([]byte(h)) + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA" }
	k0 := f.key(t)
	good := func(k Key) string { return sealed(t, k, form(k), nil) }
	parts := func(k Key) []string { return strings.Split(good(k), ".") }
	epk := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, k0.JWK.X, k0.JWK.Y)
	head := func(alg, enc, more string) string {
		return fmt.Sprintf(`{"alg":%q,"enc":%q,"kid":%q,"epk":%s%s}`, alg, enc, k0.ID, epk, more)
	}
	for name, make := range map[string]func(Key) string{
		"empty":            func(Key) string { return "" },
		"dots":             func(Key) string { return "...." },
		"JSON form":        func(k Key) string { return `{"protected":"` + parts(k)[0] + `"}` },
		"four parts":       func(k Key) string { return strings.Join(parts(k)[:4], ".") },
		"six parts":        func(k Key) string { return good(k) + "." },
		"an encrypted key": func(k Key) string { p := parts(k); p[1] = "AAAA"; return strings.Join(p, ".") },
		"changed text": func(k Key) string {
			p := parts(k)
			p[3] = "A" + p[3][1:]
			p[3] = p[3][:4] + "zz" + p[3][6:]
			return strings.Join(p, ".")
		},
		"cut tag":              func(k Key) string { p := parts(k); p[4] = p[4][:11]; return strings.Join(p, ".") },
		"too large":            func(k Key) string { return sealed(t, k, form(k)+strings.Repeat(" ", MaxBytes), nil) },
		"alg none":             func(Key) string { return header(head("none", "A256GCM", "")) },
		"alg dir":              func(Key) string { return header(head("dir", "A256GCM", "")) },
		"alg RSA1_5":           func(Key) string { return header(head("RSA1_5", "A256GCM", "")) },
		"alg wrapped":          func(Key) string { return header(head("ECDH-ES+A256KW", "A256GCM", "")) },
		"alg other case":       func(Key) string { return header(head("ecdh-es", "A256GCM", "")) },
		"alg twice":            func(Key) string { return header(head("ECDH-ES", "A256GCM", `,"alg":"ECDH-ES"`)) },
		"zip":                  func(Key) string { return header(head("ECDH-ES", "A256GCM", `,"zip":"DEF"`)) },
		"crit":                 func(Key) string { return header(head("ECDH-ES", "A256GCM", `,"crit":["exp"]`)) },
		"jku":                  func(Key) string { return header(head("ECDH-ES", "A256GCM", `,"jku":"https://example.com"`)) },
		"apu":                  func(Key) string { return header(head("ECDH-ES", "A256GCM", `,"apu":"AAAA"`)) },
		"other content cipher": func(k Key) string { return sealedWith(t, k, jose.A128GCM, form(k), nil) },
		"compressed": func(k Key) string {
			return sealed(t, k, form(k), func(o *jose.EncrypterOptions, _ *jose.Recipient) { o.Compression = jose.DEFLATE })
		},
		"another header member": func(k Key) string {
			return sealed(t, k, form(k), func(o *jose.EncrypterOptions, _ *jose.Recipient) { o.WithType("JWE") })
		},
		"no kid": func(k Key) string {
			return sealed(t, k, form(k), func(_ *jose.EncrypterOptions, r *jose.Recipient) { r.KeyID = "" })
		},
		"kid of another key": func(k Key) string {
			return sealed(t, k, form(k), func(_ *jose.EncrypterOptions, r *jose.Recipient) { r.KeyID = f.key(t).ID })
		},
		"kid is a path": func(k Key) string {
			return sealed(t, k, form(k), func(_ *jose.EncrypterOptions, r *jose.Recipient) { r.KeyID = "../session/x" })
		},
		"point not on the curve": func(k Key) string {
			p := parts(k)
			bad := fmt.Sprintf(`{"alg":"ECDH-ES","enc":"A256GCM","kid":%q,"epk":{"kty":"EC","crv":"P-256","x":%q,"y":%q}}`, k.ID, encode(make([]byte, 32)), encode(make([]byte, 32)))
			p[0] = encode([]byte(bad))
			return strings.Join(p, ".")
		},
		"private epk": func(k Key) string {
			return header(strings.Replace(head("ECDH-ES", "A256GCM", ""), `"kty"`, `"d":"AAAA","kty"`, 1))
		},
		"another curve": func(k Key) string {
			return header(strings.Replace(head("ECDH-ES", "A256GCM", ""), "P-256", "P-384", 1))
		},

		"no nonce":         func(k Key) string { return sealed(t, k, `{"password":"x"}`, nil) },
		"nonce of another": func(k Key) string { return sealed(t, k, form(f.key(t)), nil) },
		"empty nonce":      func(k Key) string { return sealed(t, k, `{"password":"x","nonce":""}`, nil) },
		"no password":      func(k Key) string { return sealed(t, k, fmt.Sprintf(`{"nonce":%q}`, k.Nonce), nil) },
		"password twice": func(k Key) string {
			return sealed(t, k, fmt.Sprintf(`{"nonce":%q,"password":"a","password":"b"}`, k.Nonce), nil)
		},
		"password null":     func(k Key) string { return sealed(t, k, fmt.Sprintf(`{"nonce":%q,"password":null}`, k.Nonce), nil) },
		"password a number": func(k Key) string { return sealed(t, k, fmt.Sprintf(`{"nonce":%q,"password":1}`, k.Nonce), nil) },
		"another member": func(k Key) string {
			return sealed(t, k, fmt.Sprintf(`{"nonce":%q,"password":"x","admin":true}`, k.Nonce), nil)
		},
		"not UTF-8": func(k Key) string {
			return sealed(t, k, fmt.Sprintf("{\"nonce\":%q,\"password\":\"\xff\"}", k.Nonce), nil)
		},
		"something behind it": func(k Key) string { return sealed(t, k, form(k)+"{}", nil) },
		"no JSON":             func(k Key) string { return sealed(t, k, "password", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := f.Open(t.Context(), make(f.key(t))); !errors.Is(err, ErrMalformed) || !got.Password.Empty() {
				t.Errorf("opened, or refused as something else: %v", err)
			} else if strings.Contains(err.Error(), "Bon") {
				t.Errorf("the error tells of the password: %v", err)
			}
			f.o.Clock.(*clock.Fake).Advance(5 * time.Second) // room for the next keys of this address
		})
	}
}

func TestKeys(t *testing.T) {
	f, now := newForms(t)
	a, b := f.key(t), f.key(t)
	if a.ID == b.ID || a.Nonce == b.Nonce || a.JWK == b.JWK {
		t.Error("two forms share a key")
	}
	if !a.Expires.Equal(begin.Add(Lifetime)) || len(a.ID) > 64 || len(a.Nonce) > 64 || !keyID.MatchString(a.ID) {
		t.Errorf("%+v is not what the wire format says", a)
	}
	entry, err := f.o.State.Get(t.Context(), prefix+a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(entry.Value, []byte("private")) || bytes.Contains(entry.Value, []byte(a.Nonce)) {
		t.Error("the private key lies open in the state")
	}
	for range PerAddress.Events - 2 {
		f.key(t)
	}
	if _, err := f.Key(t.Context(), client); !errors.Is(err, ErrTooMany) {
		t.Errorf("one address fills the state: %v", err)
	}
	if _, err := f.Key(t.Context(), netip.MustParseAddr("::ffff:203.0.113.7")); !errors.Is(err, ErrTooMany) {
		t.Errorf("an address in another spelling is another client: %v", err)
	}
	if _, err := f.Key(t.Context(), netip.MustParseAddr("203.0.113.8")); err != nil {
		t.Errorf("one address takes the keys of another: %v", err)
	}
	if _, err := f.Key(t.Context(), netip.Addr{}); err == nil {
		t.Error("a key for nobody")
	}
	now.Advance(time.Minute)
	f.key(t)

	broken := New(Options{State: f.o.State, Vault: f.o.Vault, Clock: now, Rand: iotest.ErrReader(errors.New("no randomness"))})
	if _, err := broken.Key(t.Context(), client); err == nil {
		t.Error("a key without randomness")
	}
	zeros := append(make([]byte, 32), bytes.Repeat([]byte{1}, 64)...)
	retry := New(Options{State: f.o.State, Vault: f.o.Vault, Clock: now, Rand: bytes.NewReader(zeros)})
	if _, err := retry.Key(t.Context(), client); err != nil {
		t.Errorf("32 bytes that are no key: %v", err)
	}
	other, _ := vault.New(bytes.Repeat([]byte{8}, vault.KeyBytes))
	stranger := New(Options{State: f.o.State, Vault: other, Clock: now})
	if _, err := stranger.Open(t.Context(), sealed(t, b, form(b), nil)); err == nil {
		t.Error("a key of another vault opened")
	}
	if err := f.o.State.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(t.Context(), sealed(t, b, form(b), nil)); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("without the state: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	forms, _ := newForms(f)
	k := forms.key(f)
	good := sealed(f, k, form(k), nil)
	f.Add(good)
	f.Add(strings.Replace(good, "..", ".AAAA.", 1))
	f.Add("eyJhbGciOiJub25lIn0....")
	raw, err := os.ReadFile("testdata/vector.json")
	if err != nil {
		f.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(raw, &v); err != nil {
		f.Fatal(err)
	}
	f.Add(v.JWE)
	f.Fuzz(func(t *testing.T, jwe string) {
		got, err := forms.Open(context.Background(), jwe)
		if err == nil && jwe != good {
			t.Fatal("a message nobody sealed opened")
		}
		if err != nil && !got.Password.Empty() {
			t.Fatal("a password came with an error")
		}
	})
}
