// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// cheap keeps tests fast; the format and the paths are the same.
var cheap = Params{MemoryKiB: 8192, Iterations: 1, Parallelism: 1}

func newHasher(t testing.TB, o Options) *Hasher {
	t.Helper()
	if o.Params == (Params{}) {
		o.Params = cheap
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const secret = "Trés-Bon 42"

// Made by Python's hashlib, libxcrypt and OpenSSL.
var imported = map[string]string{
	"pbkdf2-sha256":    "$pbkdf2-sha256$100000$MDEyMzQ1Njc4OWFiY2RlZg$rUNXKV45o6xqGSUGBrnpaj4xZRB8/qHhx5HozFKooHY",
	"pbkdf2-sha512":    "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$OyYLtOQdTYJ/VZ92GuupP7M35qRYx2dupiIHIsfJNXlBLN4gMtAOj/o8EKdh8pQVJkZz3nT4vzCU1PZWYSHkdg",
	"pbkdf2-sha1":      "$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$/aVTNbtpDeAKsImo1zVTMp9S6B0",
	"scrypt":           "$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$qo68YVhuTc4BNWdf/dpxhwlg9a5mPDohxeQaoNoommk",
	"sha512-crypt":     "$6$saltsalt12$pnBBf5ykS4Y9I2c3OFqgtD60JkeXS/j72knER.NGdl9HX24lXEftRIvxtisixdyqZyDgpzFA00jYQa6cqJOTo.",
	"sha512-rounds":    "$6$rounds=2000$saltsalt$EUtGKrsHUD08okeKDgzbN2iE02Bn5odArcPkvNZoAKRfsoWTKVCXKvDR9vllIqFqVa8AuW4iyg3TratA6Cba9.",
	"sha256-crypt":     "$5$saltsalt12$x0v4hoqrZzEgwx46065LSyw3VO1s4cAe5qN.GPNglm5",
	"bcrypt":           "$2b$05$abcdefghijklmnopqrstuudI1KnXOe7Nm5oAOquFLUqtgbw.HnZDW",
	"bcrypt, htpasswd": "$2y$05$abcdefghijklmnopqrstuudI1KnXOe7Nm5oAOquFLUqtgbw.HnZDW",
	"bcrypt, old":      "$2a$05$abcdefghijklmnopqrstuudI1KnXOe7Nm5oAOquFLUqtgbw.HnZDW",
	"argon2i":          argon2i(secret, 8192, 3, 1),
	"ldap-sha256":      "{CRYPT}$5$saltsalt12$x0v4hoqrZzEgwx46065LSyw3VO1s4cAe5qN.GPNglm5",
	"argon2id, other":  phc(secret, 8192, 2, 2),
}

// phc makes an argon2id string with another implementation.
func phc(password string, m, t uint32, p uint8) string {
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", m, t, p, b64(salt), b64(argon2.IDKey([]byte(password), salt, t, m, p, 32)))
}

func argon2i(password string, m, t uint32, p uint8) string {
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2i$v=19$m=%d,t=%d,p=%d$%s$%s", m, t, p, b64(salt), b64(argon2.Key([]byte(password), salt, t, m, p, 32)))
}

func TestRefusedHashesSayWhy(t *testing.T) {
	for hash, want := range map[string]string{
		"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=":        "SHA-1 without salt",
		"{ssha}5en6G6MezRroT3XKqkdPOmY/BfQ=":       "guessed too fast",
		"5f4dcc3b5aa765d61d8327deb882cf99":         "without salt, in hexadecimal",
		"5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8": "without salt, in hexadecimal",
		"$apr1$saltsalt$qjXMvbEw8oaL.CzflDtaK/":    "MD5-crypt",
		"hunter2":                                  "not known",
	} {
		if err := Check(hash); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hash) {
			t.Errorf("whoever imports %q reads %v, want a line with %q and without the hash", hash, err, want)
		}
	}
}

func TestHashAndVerify(t *testing.T) {
	h := newHasher(t, Options{Params: DefaultParams(), Rand: bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 4))})
	got, err := h.Hash(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if want := phc(secret, 19*1024, 2, 1); got != want {
		t.Fatalf("hash %s is not the argon2id of another implementation, %s", got, want)
	}
	for password, want := range map[string]Result{
		secret: {OK: true}, "Tre\u0301s-Bon 42": {OK: true}, "Tres-Bon 42": {}, secret + " ": {}, "trés-bon 42": {},
	} {
		if res, err := h.Verify(t.Context(), got, password); err != nil || res != want {
			t.Errorf("Verify(%q) = %+v, %v, want %+v", password, res, err, want)
		}
	}
}

func TestImportedHashesVerifyAndAskToBeReplaced(t *testing.T) {
	h := newHasher(t, Options{})
	for name, hash := range imported {
		t.Run(name, func(t *testing.T) {
			if err := Check(hash); err != nil {
				t.Fatalf("an import would be refused: %v", err)
			}
			if res, err := h.Verify(t.Context(), hash, secret); err != nil || !res.OK || !res.Rehash {
				t.Errorf("right password: %+v, %v: the person could not sign in, or would keep the old hash for ever", res, err)
			}
			if res, err := h.Verify(t.Context(), hash, "wrong"); err != nil || res != (Result{}) {
				t.Errorf("wrong password: %+v, %v", res, err)
			}
		})
	}
	t.Run("long password on bcrypt", func(t *testing.T) {
		long := strings.Repeat("a", 72)
		hash, err := bcrypt.GenerateFromPassword([]byte(long), 5)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := h.Verify(t.Context(), string(hash), long); err != nil || !res.OK {
			t.Errorf("72 bytes: %+v, %v", res, err)
		}
		if res, err := h.Verify(t.Context(), string(hash), long+"b"); err != nil || !res.OK || res.Rehash {
			t.Errorf("73 bytes: %+v, %v: who made the hash took 72 bytes, and what nobody checked must not be stored", res, err)
		}
	})
}

func TestRehash(t *testing.T) {
	h := newHasher(t, Options{})
	same, other := phc(secret, 8192, 1, 1), phc(secret, 8192, 2, 1)
	for hash, want := range map[string]bool{same: false, other: true} {
		if res, err := h.Verify(t.Context(), hash, secret); err != nil || !res.OK || res.Rehash != want {
			t.Errorf("%s: %+v, %v, want rehash %v", hash, res, err, want)
		}
	}
	if res, err := h.Verify(t.Context(), other, "wrong"); err != nil || res.Rehash {
		t.Errorf("a wrong password must never be stored anew: %+v, %v", res, err)
	}
}

func TestUnusableStoredHashes(t *testing.T) {
	h := newHasher(t, Options{})
	b64 := base64.RawStdEncoding.EncodeToString
	salt := b64([]byte("0123456789abcdef"))
	key := b64(make([]byte, 32))
	cases := map[string]string{
		"plain text":               secret,
		"plaintext kind":           "$plaintext$" + secret,
		"md5-crypt":                "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
		"sha1":                     "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
		"argon2d":                  "$argon2d$v=19$m=8192,t=1,p=1$" + salt + "$" + key,
		"yescrypt":                 "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
		"cut":                      phc(secret, 8192, 1, 1)[:40],
		"no key":                   "$argon2id$v=19$m=8192,t=1,p=1$" + salt + "$",
		"key of one byte":          "$argon2id$v=19$m=8192,t=1,p=1$" + salt + "$" + b64([]byte{7}),
		"memory beyond bounds":     "$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + key,
		"memory hidden in version": "$argon2id$m=4194304,v=19$m=8192,t=1,p=1$" + salt + "$" + key,
		"passes beyond bounds":     "$argon2id$v=19$m=8192,t=4000,p=1$" + salt + "$" + key,
		"bcrypt cost":              "$2b$31$abcdefghijklmnopqrstuudI1KnXOe7Nm5oAOquFLUqtgbw.HnZDW",
		"pbkdf2 iterations":        "$pbkdf2-sha256$2000000000$" + salt + "$" + key,
		"pbkdf2 negative":          "$pbkdf2-sha256$-1$" + salt + "$" + key,
		"scrypt memory":            "$scrypt$ln=30,r=8,p=1$" + salt + "$" + key,
		"scrypt block size":        "$scrypt$ln=14,r=8000,p=1$" + salt + "$" + key,
		"rounds":                   "$6$rounds=999999999$saltsalt$EUtGKrsHUD08okeKDgzbN2iE02Bn5odArcPkvNZoAKRfsoWTKVCXKvDR9vllIqFqVa8AuW4iyg3TratA6Cba9.",
		"endless":                  "$6$salt$" + strings.Repeat("a", 5000),
	}
	for name, hash := range cases {
		t.Run(name, func(t *testing.T) {
			runs := 0
			h.worked = func() { runs++ }
			begin := time.Now()
			res, err := h.Verify(t.Context(), hash, secret)
			if !errors.Is(err, ErrStored) || res.OK || runs != 1 {
				t.Fatalf("%+v, %v after %d runs: want a refusal after the usual work", res, err, runs)
			}
			if Check(hash) == nil {
				t.Error("an import would store what can never be verified")
			}
			if strings.Contains(err.Error(), salt) || strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells of the stored hash: %v", err)
			}
			if d := time.Since(begin); d > 3*time.Second {
				t.Errorf("it took %v: a stored hash must not take the machine", d)
			}
		})
	}
}

func TestUnknownAccountsCostTheSame(t *testing.T) {
	h := newHasher(t, Options{})
	var runs int
	h.worked = func() { runs++ }
	known, err := h.Hash(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if !h.dummy.is(h.params) {
		t.Fatal("the dummy hash is cheaper or dearer than a real one: the time of an answer tells who has an account")
	}
	for name, hash := range map[string]string{"known": known, "unknown": ""} {
		for _, password := range []string{"wrong", "no account has this password"} {
			runs = 0
			res, err := h.Verify(t.Context(), hash, password)
			if err != nil || res.OK || runs != 1 {
				t.Errorf("%s account, %q: %+v, %v after %d runs of the hash function, want a plain no after one", name, password, res, err, runs)
			}
		}
		runs = 0
		for _, password := range []string{"", strings.Repeat("x", MaxBytes+1), "\xff\xfe"} {
			if _, err := h.Verify(t.Context(), hash, password); !errors.Is(err, ErrUnusable) {
				t.Errorf("%s account, unusable password: %v", name, err)
			}
		}
		if runs != 0 {
			t.Errorf("%s account: %d runs for passwords that cannot be used, want none", name, runs)
		}
	}
}

func TestUnusablePasswordsAreNotStored(t *testing.T) {
	h := newHasher(t, Options{})
	for name, p := range map[string]string{"empty": "", "too long": strings.Repeat("x", MaxBytes+1), "not UTF-8": "\xff"} {
		if hash, err := h.Hash(t.Context(), p); hash != "" || !errors.Is(err, ErrUnusable) || len(err.Error()) > 100 {
			t.Errorf("%s: %q, %v", name, hash, err)
		}
	}
	if _, err := h.Hash(t.Context(), strings.Repeat("x", MaxBytes)); err != nil {
		t.Errorf("the longest password allowed is refused: %v", err)
	}
}

func TestNoSaltNoHash(t *testing.T) {
	broken := errors.New("no entropy")
	h := newHasher(t, Options{})
	h.rand = iotest.ErrReader(broken)
	if hash, err := h.Hash(t.Context(), secret); hash != "" || !errors.Is(err, broken) {
		t.Errorf("without randomness a hash was made: %q, %v", hash, err)
	}
	if _, err := New(Options{Params: cheap, Rand: iotest.ErrReader(broken)}); !errors.Is(err, broken) {
		t.Errorf("a hasher without randomness started: %v", err)
	}
}

func TestCostsOutOfRange(t *testing.T) {
	for _, p := range []Params{
		{MemoryKiB: 1024, Iterations: 1, Parallelism: 1},
		{MemoryKiB: 8192, Parallelism: 1},
		{MemoryKiB: 8192, Iterations: 1},
		{MemoryKiB: 1 << 20, Iterations: 1, Parallelism: 1},
		{MemoryKiB: 8192, Iterations: 99, Parallelism: 1},
	} {
		if _, err := New(Options{Params: p}); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestOnlySoManyAtATime(t *testing.T) {
	h := newHasher(t, Options{Workers: 2, Wait: time.Minute})
	var now, most atomic.Int32
	h.worked = func() {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := h.Verify(t.Context(), "", "x"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 2 {
		t.Errorf("%d hashes at a time, want at most 2: a flood would take the memory", most.Load())
	}
}

func TestBusy(t *testing.T) {
	h := newHasher(t, Options{Workers: 1})
	synctest.Test(t, func(t *testing.T) {
		h.slots = make(chan struct{}, 1) // of this bubble
		h.slots <- struct{}{}            // somebody hashes and does not end
		begin := time.Now()
		if _, err := h.Verify(t.Context(), "", "x"); !errors.Is(err, ErrBusy) || time.Since(begin) != DefaultWait {
			t.Errorf("after %v: %v, want ErrBusy after %v", time.Since(begin), err, DefaultWait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller who went away still waits: %v", err)
		}
		<-h.slots
		if _, err := h.Verify(t.Context(), "", "x"); err != nil {
			t.Errorf("a free slot is not used: %v", err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Verify(ctx, "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("work was done for a caller who is gone: %v", err)
	}
}

func FuzzStoredHash(f *testing.F) {
	for _, hash := range imported {
		f.Add(hash)
	}
	f.Add("$argon2id$m=4194304,v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, hash string) {
		s, err := decode(hash)
		if err != nil {
			if !errors.Is(err, ErrStored) {
				t.Fatalf("error %v does not say that the stored hash is at fault", err)
			}
			return
		}
		if s.cost["m"] > maxMemoryKiB || s.cost["ln"] > maxScryptLN || s.cost["rounds"] > maxRounds || len(s.digest.Key()) < minKeyBytes {
			t.Fatalf("a %s hash of cost %v was taken", s.kind, s.cost)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h := newHasher(b, Options{Params: DefaultParams()})
	for b.Loop() {
		if _, err := h.Verify(b.Context(), "", "x"); err != nil {
			b.Fatal(err)
		}
	}
}
