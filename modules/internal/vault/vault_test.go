// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var (
	one = bytes.Repeat([]byte{0x01, 0xfe}, 16)
	two = bytes.Repeat([]byte{0x02, 0xfd}, 16)
)

func vaultOf(t *testing.T, keys ...[]byte) *Vault {
	t.Helper()
	v, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sealedX is "x" sealed with key one for purpose p and owner o by the first
// release: what is in a database must open for ever.
const sealedX = "01f5371a083c47f76879770c75bc8efaa8b5b334003cdc7a8d60db4087c521888f27"

func TestOpensWhatWasSealedBefore(t *testing.T) {
	sealed, _ := hex.DecodeString(sealedX)
	if s, err := vaultOf(t, two, one).Open("p", "o", sealed); err != nil || string(s.Reveal()) != "x" {
		t.Errorf("a value sealed by an earlier release: %v", err)
	}
}

func TestSealOpen(t *testing.T) {
	v := vaultOf(t, one)
	for _, plain := range []string{"", "x", "key pair ☎", strings.Repeat("long", 1<<16)} {
		a, err := v.Seal("crm_key", "p1", []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := v.Seal("crm_key", "p1", []byte(plain))
		if bytes.Equal(a, b) {
			t.Error("the same secret sealed twice looks the same: the database tells who shares one")
		}
		if len(plain) > 3 && bytes.Contains(a, []byte(plain)) {
			t.Error("the secret stands in the sealed value")
		}
		s, err := v.Open("crm_key", "p1", a)
		if err != nil || string(s.Reveal()) != plain {
			t.Errorf("%.10q opened as %.10q, %v", plain, s.Reveal(), err)
		}
		for _, other := range [][2]string{{"crm_key", "p2"}, {"signing", "p1"}, {"crm_keyp", "1"}, {"crm_", "keyp1"}, {"", "crm_keyp1"}} {
			if _, err := v.Open(other[0], other[1], a); !errors.Is(err, ErrSealed) {
				t.Errorf("sealed for crm_key of p1, opened for %q: %v", other, err)
			}
		}
	}
}

func TestOpenRefusesEveryChange(t *testing.T) {
	v := vaultOf(t, one)
	sealed, _ := v.Seal("p", "o", []byte("secret"))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := v.Open("p", "o", bad); !errors.Is(err, ErrSealed) && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("with byte %d changed: %v", i, err)
		}
		if _, err := v.Open("p", "o", sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	if _, err := v.Open("p", "o", append(sealed, 0)); !errors.Is(err, ErrSealed) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestRotation(t *testing.T) {
	before, both, after := vaultOf(t, one), vaultOf(t, two, one), vaultOf(t, two)
	sealed, _ := before.Seal("p", "o", []byte("secret"))
	if s, err := both.Open("p", "o", sealed); err != nil || string(s.Reveal()) != "secret" {
		t.Errorf("an old value does not open while both keys are there: %v", err)
	}
	if before.Current(sealed) != true || both.Current(sealed) != false || both.Current(nil) {
		t.Error("which values must be sealed again is told wrongly")
	}
	if _, err := after.Open("p", "o", sealed); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("an old value after its key was taken away: %v", err)
	}
	again, _ := both.Seal("p", "o", []byte("secret"))
	if _, err := after.Open("p", "o", again); err != nil {
		t.Errorf("a value sealed again needs the old key: %v", err)
	}
	old := before.LookupHMAC("access", "AK1")
	if got := both.Lookups("access", "AK1"); len(got) != 2 || got[1] != old || got[0] != after.LookupHMAC("access", "AK1") {
		t.Errorf("look-up values over a rotation: %q, before it %q", got, old)
	}
}

func TestLookup(t *testing.T) {
	v := vaultOf(t, one)
	a := v.LookupHMAC("access", "AK1")
	if a != v.LookupHMAC("access", "AK1") || len(a) != 64 {
		t.Errorf("a look-up value is not stable: %q", a)
	}
	for _, other := range [][2]string{{"access", "AK2"}, {"other", "AK1"}, {"accessA", "K1"}} {
		if v.LookupHMAC(other[0], other[1]) == a {
			t.Errorf("%q has the look-up value of another", other)
		}
	}
	if vaultOf(t, two).LookupHMAC("access", "AK1") == a {
		t.Error("a look-up value does not depend on the key: a database can be searched for known access keys")
	}
}

func TestParse(t *testing.T) {
	std, url := base64.StdEncoding.EncodeToString(one), base64.RawURLEncoding.EncodeToString(two)
	hexed := strings.ToUpper(hex.EncodeToString(two))
	for _, c := range []struct {
		name, content string
		keys          int
		want          string
	}{
		{"base64", std, 1, ""},
		{"hex", hexed, 1, ""},
		{"URL alphabet without padding", url, 1, ""},
		{"two by comma", std + "," + hexed, 2, ""},
		{"file", "# first\n\n  " + std + "\r\n" + url + "\n", 2, ""},
		{"empty", "", 0, "vault.key: there is no key in it"},
		{"comments only", "# x\n\n", 0, "vault.key: there is no key in it"},
		{"short", "# x\n" + base64.StdEncoding.EncodeToString(one[:31]), 0, "vault.key:2: this is no key"},
		{"long", base64.StdEncoding.EncodeToString(append(one, 1)), 0, "vault.key:1: this is no key"},
		{"garbage", std + "\nhunter2hunter2", 0, "vault.key:2: this is no key"},
		{"comma at the end", std + ",", 0, "vault.key:1: this is no key"},
		{"binary", string(one), 0, "vault.key:1: this is no key"},
		{"twice", hexed + "\n" + url, 0, "vault.key: opening the vault: key 2 is there twice"},
	} {
		v, err := Parse("vault.key", c.content)
		if c.want == "" {
			if err != nil || len(v.KeyIDs()) != c.keys {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the operator reads %v, want one line with %q", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), std[:12])) {
			t.Errorf("%s: the error tells the content: %v", c.name, err)
		}
	}
	if _, err := New(); err == nil {
		t.Error("a vault without a key")
	}
	if _, err := New(one[:16]); err == nil {
		t.Error("a vault with a short key")
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "vault.key")
	ids := make([]string, 20)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			v, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = v.String()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("two starts at once made two keys: %q", ids)
		}
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", fi.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left in the folder", len(entries))
	}
	for name, spoil := range map[string]func() error{
		"readable by everybody": func() error { return os.Chmod(path, 0o604) },
		"garbage":               func() error { return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("x"), 0o600)) },
		"empty":                 func() error { return os.WriteFile(path, nil, 0o600) },
		"a folder":              func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		_ = os.RemoveAll(path)
		_ = os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(one)), 0o600)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; a new key would make every sealed secret unreadable", name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := LoadOrCreate("/proc/self/vault.key"); err == nil {
		t.Error("a folder that cannot be written gives no error")
	}
}

func TestSecretShowsNothing(t *testing.T) {
	const plain = "hunter2"
	s := NewSecret([]byte(plain))
	type holder struct {
		Public Secret
		hidden Secret
		list   []Secret
		m      map[string]Secret
		p      *Secret
	}
	h := holder{s, s, []Secret{s}, map[string]Secret{"k": s}, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%t", "%p"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", []any{h, &h})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "h", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "h", h)
	j, err := json.Marshal(map[string]any{"a": s, "b": h, "c": &s})
	if err != nil || !strings.Contains(string(j), Redacted) {
		t.Errorf("JSON: %s, %v", j, err)
	}
	out.Write(j)
	fmt.Fprintln(&out, s, errors.New(s.String()), fmt.Errorf("%w: %v", ErrSealed, s))
	text := out.String()
	for _, form := range []string{plain, hex.EncodeToString([]byte(plain)), strings.ToUpper(hex.EncodeToString([]byte(plain))), "104 117 110", "U+0068", base64.StdEncoding.EncodeToString([]byte(plain))} {
		if strings.Contains(text, form) {
			t.Errorf("a secret shows as %q in:\n%s", form, text)
		}
	}
	if string(s.Reveal()) != plain || s.Empty() || !(Secret{}).Empty() || (Secret{}).Reveal() != nil {
		t.Error("Reveal and Empty")
	}
	if !s.Equal(NewSecret([]byte(plain))) || s.Equal(Secret{}) || s.Equal(NewSecret([]byte("hunter3"))) {
		t.Error("Equal")
	}
	v := vaultOf(t, one, two)
	shown := fmt.Sprintf("%v %+v %#v %s", v, v, v, v)
	if strings.Count(shown, "vault[") != 4 || strings.Contains(shown, "0xfe") || strings.Contains(shown, "254") {
		t.Errorf("a vault shows %s", shown)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(base64.StdEncoding.EncodeToString(one))
	f.Add("# x\n" + hex.EncodeToString(one) + "," + hex.EncodeToString(two))
	f.Fuzz(func(t *testing.T, content string) {
		v, err := Parse("f", content)
		if err != nil {
			return
		}
		sealed, err := v.Seal("p", "o", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := v.Open("p", "o", sealed); err != nil || string(s.Reveal()) != "x" {
			t.Fatal("keys that were accepted do not open what they sealed")
		}
	})
}

func FuzzOpen(f *testing.F) {
	v, _ := New(one)
	sealed, _ := hex.DecodeString(sealedX)
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := v.Open("p", "o", b); err == nil && !bytes.Equal(b, sealed) {
			t.Fatalf("forged bytes opened as %q", s.Reveal())
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	v, _ := New(one)
	sealed, _ := v.Seal("crm_key", "p1", bytes.Repeat([]byte("k"), 80))
	b.ReportAllocs()
	for range b.N {
		if _, err := v.Open("crm_key", "p1", sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// What was stored by an earlier version must be found by this one, and what stays in
// memory after one value must not reach the next.
func TestLookupHMACIsOfTheValueAlone(t *testing.T) {
	v := vaultOf(t, one)
	for _, value := range []string{"ab", strings.Repeat("long", 3000), "", "ab"} {
		mac := hmac.New(sha256.New, v.keys[0].look)
		mac.Write(append(binary.AppendUvarint([]byte("\x01p"), uint64(len(value))), value...))
		want := hex.EncodeToString(mac.Sum(nil))
		if got := v.LookupHMAC("p", value); got != want {
			t.Errorf("%d bytes: %s, want %s: keys that people have stored are no longer found", len(value), got, want)
		}
		half := len(value) / 2
		if got := string(v.AppendLookupHMAC([]byte("x"), "p", value[:half], "", value[half:])); got != "x"+want {
			t.Errorf("%d bytes in pieces: %s, want x%s", len(value), got, want)
		}
	}
}

func BenchmarkLookupHMAC(b *testing.B) {
	v, _ := New(one)
	b.ReportAllocs()
	for b.Loop() {
		v.LookupHMAC("entity tag", "\"6920f1a7-2710\"\x000123456789abcdef01234567\x00")
	}
}
