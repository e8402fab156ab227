// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package assertion

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// blobs is as much of a records.Store as a Signer needs.
type blobs struct {
	mu   sync.Mutex
	m    map[string]records.Blob
	away bool
	puts int
}

func (b *blobs) PutBlob(_ context.Context, x records.Blob) (records.Blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return x, records.ErrUnavailable
	}
	if b.m[x.Name].Version != x.Version {
		return x, records.ErrConflict
	}
	b.puts++
	x.Version++
	b.m[x.Name] = x
	return x, nil
}

func (b *blobs) Blob(_ context.Context, name string) (records.Blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return records.Blob{}, records.ErrUnavailable
	}
	x, ok := b.m[name]
	if !ok {
		return x, records.ErrNotFound
	}
	return x, nil
}

var (
	start = time.Date(2031, 1, 1, 0, 0, 0, 300_000_000, time.UTC)
	full  = Claims{"p1", "https://crm.example.com", "asha@example.com", "Asha ☎", "sales_user", "0123456789ab", "r7"}
)

func testVault(t testing.TB, keys ...byte) *vault.Vault {
	t.Helper()
	var list [][]byte
	for _, k := range keys {
		list = append(list, bytes.Repeat([]byte{k}, vault.KeyBytes))
	}
	v, err := vault.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func open(t testing.TB, b *blobs, c clock.Clock, v *vault.Vault) *Signer {
	t.Helper()
	s, err := Open(t.Context(), Options{Records: b, Vault: v, Issuer: "https://gate.example.com", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// verify does what a CRM does: fetches the keys, checks signature and times.
func verify(jwks []byte, token string, at time.Time, audience string) (map[string]any, string, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, "", err
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, "", err
	}
	var std jwt.Claims
	var all map[string]any
	if err := parsed.Claims(set, &std, &all); err != nil {
		return nil, "", err
	}
	err = std.ValidateWithLeeway(jwt.Expected{Issuer: "https://gate.example.com", AnyAudience: jwt.Audience{audience}, Time: at}, 0)
	return all, parsed.Headers[0].KeyID, err
}

func token(t *testing.T, s *Signer, c Claims) string {
	t.Helper()
	tok, err := s.Token(c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokenVerifies(t *testing.T) {
	c := clock.NewFake(start)
	s := open(t, &blobs{m: map[string]records.Blob{}}, c, testVault(t, 1))
	tok := token(t, s, full)
	got, _, err := verify(s.JWKS(), tok, start, full.Audience)
	if err != nil {
		t.Fatalf("a CRM that follows the standard refuses the token: %v", err)
	}
	want := map[string]any{
		"iss": "https://gate.example.com", "sub": "p1", "aud": "https://crm.example.com", "email": "asha@example.com", "name": "Asha ☎",
		"role": "sales_user", "sid": "0123456789ab", "pol": "r7",
		"iat": float64(start.Unix()), "nbf": float64(start.Unix()), "exp": float64(start.Unix() + 60),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the token says %v, want %v", got, want)
	}
	for name, err := range map[string]error{
		"expired":        second(verify(s.JWKS(), tok, start.Add(61*time.Second), full.Audience)),
		"not yet valid":  second(verify(s.JWKS(), tok, start.Add(-2*time.Second), full.Audience)),
		"other audience": second(verify(s.JWKS(), tok, start, "https://other.example.com")),
		"changed":        second(verify(s.JWKS(), tok[:len(tok)-4]+"AAAA", start, full.Audience)),
		"other keys":     second(verify(open(t, &blobs{m: map[string]records.Blob{}}, c, testVault(t, 1)).JWKS(), tok, start, full.Audience)),
	} {
		if err == nil {
			t.Errorf("%s: the token verifies", name)
		}
	}
	if strings.Contains(string(s.JWKS()), `"d"`) {
		t.Error("the private key is published")
	}
	for _, bad := range []Claims{{}, {Subject: "p1"}, {Audience: "x"}} {
		if _, err := s.Token(bad); !errors.Is(err, ErrClaims) {
			t.Errorf("a token for %+v: %v", bad, err)
		}
	}
}

func second(_ map[string]any, _ string, err error) error { return err }

func TestCacheKnowsEveryClaim(t *testing.T) {
	c := clock.NewFake(start)
	s := open(t, &blobs{m: map[string]records.Blob{}}, c, testVault(t, 1))
	first := token(t, s, full)
	if token(t, s, full) != first {
		t.Error("the same claims are signed for every request")
	}
	for i := range reflect.TypeFor[Claims]().NumField() {
		other := full
		f := reflect.ValueOf(&other).Elem().Field(i)
		f.SetString(f.String() + "x")
		name := reflect.TypeFor[Claims]().Field(i).Name
		tok := token(t, s, other)
		if tok == first {
			t.Errorf("somebody whose %s differs gets another person's token", name)
		}
		got, _, err := verify(s.JWKS(), tok, start, other.Audience)
		if err != nil || !strings.Contains(fmt.Sprint(got), f.String()) {
			t.Errorf("the token does not say %s: %v, %v", name, got, err)
		}
	}
	c.Advance(29 * time.Second)
	if token(t, s, full) != first {
		t.Error("a token is signed anew in its first half")
	}
	c.Advance(time.Second)
	again := token(t, s, full)
	if again == first {
		t.Error("a token is handed out in its second half: it may expire on the way")
	}
	c.Advance(-10 * time.Second)
	if tok := token(t, s, full); tok == again {
		t.Error("after the clock was set back a token from the future is handed out")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	for i := range 3 * shards * perShard {
		k := Claims{Session: fmt.Sprint(i)}
		c.put(&k, "t", start, start.Add(time.Second))
		if _, ok := c.get(&k, start); !ok {
			t.Fatal("what was put is not there")
		}
	}
	if n := c.len(); n > shards*perShard {
		t.Errorf("%d tokens are kept", n)
	}
	// Expired ones go first: nobody who is at work loses his token to them.
	c = newCache()
	put := func(from time.Time, prefix string, n int) {
		for i := range n {
			c.put(&Claims{Session: fmt.Sprint(prefix, i)}, "t", from, from.Add(time.Second))
		}
	}
	put(start.Add(-time.Hour), "old", 2*shards*perShard)
	put(start, "live", shards*perShard/2)
	for i := range shards * perShard / 2 {
		if _, ok := c.get(&Claims{Session: fmt.Sprint("live", i)}, start); !ok {
			t.Fatalf("live token %d is gone although there was room", i)
		}
	}
}

func TestKeyIsMadeOnce(t *testing.T) {
	b, c := &blobs{m: map[string]records.Blob{}}, clock.NewFake(start)
	sets := make([]string, 20)
	var wg sync.WaitGroup
	for i := range sets {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{Records: b, Vault: testVault(t, 1), Issuer: "x", Clock: c})
			if err != nil {
				t.Error(err)
				return
			}
			sets[i] = string(s.JWKS())
			s.Close()
		})
	}
	wg.Wait()
	for _, set := range sets {
		if set != sets[0] {
			t.Fatal("gateways that start together sign with different keys")
		}
	}
	if b.puts != 1 {
		t.Errorf("the key was written %d times", b.puts)
	}
	if bytes.Contains(b.m[BlobName].Value, []byte("kid")) {
		t.Error("the keys are stored in clear")
	}
}

func TestRotation(t *testing.T) {
	b, c := &blobs{m: map[string]records.Blob{}}, clock.NewFake(start)
	here, there := open(t, b, c, testVault(t, 1)), open(t, b, c, testVault(t, 1))
	check := func(s *Signer, jwks []byte) string {
		t.Helper()
		c.Advance(time.Minute)
		tok := token(t, s, full)
		_, kid, err := verify(jwks, tok, c.Now(), full.Audience)
		if err != nil {
			t.Fatalf("a CRM refuses the token: %v", err)
		}
		return kid
	}
	before := check(here, here.JWKS())
	if err := here.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The other gateway and the CRM still have the old set.
	if kid := check(here, there.JWKS()); kid != before {
		t.Error("a key signs before anybody can have fetched it")
	}
	if err := there.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(here.JWKS(), there.JWKS()) || strings.Count(string(here.JWKS()), `"kid"`) != 2 {
		t.Errorf("published: %s and %s", here.JWKS(), there.JWKS())
	}
	c.Advance(DefaultLead)
	after := check(here, there.JWKS())
	if after == before || check(there, here.JWKS()) != after {
		t.Error("the new key does not sign after its time has come")
	}
	old := here.JWKS()
	if err := there.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := there.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if check(there, old) != after || strings.Contains(string(there.JWKS()), before) || strings.Count(string(there.JWKS()), `"kid"`) != 2 {
		t.Errorf("after two more rotations published: %s", there.JWKS())
	}
}

func TestVaultRotation(t *testing.T) {
	b, c := &blobs{m: map[string]records.Blob{}}, clock.NewFake(start)
	jwks := string(open(t, b, c, testVault(t, 1)).JWKS())
	if got := string(open(t, b, c, testVault(t, 2, 1)).JWKS()); got != jwks {
		t.Error("a new vault key changed the signing keys")
	}
	if got := string(open(t, b, c, testVault(t, 2)).JWKS()); got != jwks {
		t.Error("the signing keys were not sealed again: with the old vault key gone, they would be lost")
	}
	if _, err := Open(t.Context(), Options{Records: b, Vault: testVault(t, 3), Issuer: "x"}); !errors.Is(err, vault.ErrUnknownKey) {
		t.Errorf("opened with a wrong vault: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	v := testVault(t, 1)
	sealed := func(content string) *blobs {
		x, err := v.Seal(purpose, BlobName, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		return &blobs{m: map[string]records.Blob{BlobName: {Name: BlobName, Value: x, Version: 1}}}
	}
	rsa := `{"keys":[{"kid":"x","jwk":{"kty":"oct","kid":"x","k":"AAAA"}}]}`
	for name, o := range map[string]Options{
		"no records":       {Vault: v, Issuer: "x"},
		"no vault":         {Records: sealed(""), Issuer: "x"},
		"no issuer":        {Records: sealed(""), Vault: v},
		"store away":       {Records: &blobs{away: true}, Vault: v, Issuer: "x"},
		"garbage":          {Records: sealed("what"), Vault: v, Issuer: "x"},
		"no key":           {Records: sealed("{}"), Vault: v, Issuer: "x"},
		"another kind":     {Records: sealed(rsa), Vault: v, Issuer: "x"},
		"long lifetime":    {Records: &blobs{m: map[string]records.Blob{}}, Vault: v, Issuer: "x", Lifetime: time.Hour},
		"short lifetime":   {Records: &blobs{m: map[string]records.Blob{}}, Vault: v, Issuer: "x", Lifetime: time.Millisecond},
		"negative refresh": {Records: &blobs{m: map[string]records.Blob{}}, Vault: v, Issuer: "x", Refresh: -1},
		"no lead":          {Records: &blobs{m: map[string]records.Blob{}}, Vault: v, Issuer: "x", Lead: time.Second},
	} {
		if s, err := Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func TestStoreAwayLater(t *testing.T) {
	b, c := &blobs{m: map[string]records.Blob{}}, clock.NewFake(start)
	s := open(t, b, c, testVault(t, 1))
	b.mu.Lock()
	b.away = true
	b.mu.Unlock()
	if err := s.Refresh(t.Context()); !errors.Is(err, records.ErrUnavailable) {
		t.Errorf("a reading with the store away: %v", err)
	}
	if err := s.Rotate(t.Context()); !errors.Is(err, records.ErrUnavailable) {
		t.Errorf("a rotation with the store away: %v", err)
	}
	if _, _, err := verify(s.JWKS(), token(t, s, full), start, full.Audience); err != nil {
		t.Errorf("with the store away nobody can work: %v", err)
	}
}

func TestCachedTokenAllocatesNothing(t *testing.T) {
	s := open(t, &blobs{m: map[string]records.Blob{}}, clock.NewFake(start), testVault(t, 1))
	token(t, s, full)
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Token(full) }); n != 0 {
		t.Errorf("a cached token allocates %v times", n)
	}
}

func BenchmarkTokenCached(b *testing.B) {
	s := open(b, &blobs{m: map[string]records.Blob{}}, clock.System{}, testVault(b, 1))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Token(full); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTokenSigned(b *testing.B) {
	c := clock.NewFake(start)
	s := open(b, &blobs{m: map[string]records.Blob{}}, c, testVault(b, 1))
	for range b.N {
		c.Advance(time.Minute)
		if _, err := s.Token(full); err != nil {
			b.Fatal(err)
		}
	}
}
