// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// Bounds of what a stored hash may cost. A hash beyond them would let one import
// take the machine's memory or minutes of its time at every sign-in.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 16
	maxLanes     = 16
	maxBcrypt    = 15
	maxRounds    = 5_000_000 // PBKDF2 and SHA-crypt
	maxScryptLN  = 18        // with r = 8: 256 MiB
	maxHashBytes = 1024
	minKeyBytes  = 16
)

// decoder knows the kinds that are accepted, and no others.
var decoder = func() *crypt.Decoder {
	d := crypt.NewDecoder()
	for _, register := range []func(algorithm.DecoderRegister) error{
		argon2.RegisterDecoderArgon2id, argon2.RegisterDecoderArgon2i, bcrypt.RegisterDecoder, pbkdf2.RegisterDecoder, scrypt.RegisterDecoderScrypt, shacrypt.RegisterDecoder,
	} {
		if err := register(d); err != nil {
			panic(err) // two kinds under one name: a mistake in the list above
		}
	}
	return d
}()

// stored is a decoded hash whose cost is known and bearable.
type stored struct {
	digest algorithm.Digest
	kind   string
	cost   map[string]int
}

// decode reads a stored hash. Errors wrap ErrStored and hold nothing of it.
func decode(hash string) (s stored, err error) {
	defer func() {
		if recover() != nil {
			s, err = stored{}, fmt.Errorf("%w: it cannot be read", ErrStored)
		}
	}()
	if len(hash) > maxHashBytes {
		return s, fmt.Errorf("%w: it is too long", ErrStored)
	}
	if s.digest, err = decoder.Decode(hash); err != nil {
		return s, fmt.Errorf("%w: %s; argon2id, argon2i, bcrypt, PBKDF2, scrypt and SHA-crypt are known ($kind$cost$salt$key)", ErrStored, refused(hash))
	}
	// The cost is read from what was understood, not from what was written: a
	// parameter that is there twice cannot say one thing here and another there.
	if s.kind, s.cost, err = readCost(s.digest.Encode()); err != nil {
		return stored{}, fmt.Errorf("%w: %w", ErrStored, err)
	}
	if len(s.digest.Key()) < minKeyBytes {
		return stored{}, fmt.Errorf("%w: it is too short to tell passwords apart", ErrStored)
	}
	return s, nil
}

// weak are kinds that are known and refused, by what a hash begins with.
var weak = []struct{ head, what string }{
	{"{SHA}", "it is SHA-1 without salt"},
	{"{SHA256}", "it is SHA-256 without salt"},
	{"{SHA512}", "it is SHA-512 without salt"},
	{"{MD5}", "it is MD5 without salt"},
	{"{SSHA", "it is one run of SHA, which is guessed too fast"},
	{"{SMD5}", "it is one run of MD5, which is guessed too fast"},
	{"$1$", "it is MD5-crypt, which is guessed too fast"},
	{"$apr1$", "it is MD5-crypt, which is guessed too fast"},
	{"$md5", "it is MD5-crypt, which is guessed too fast"},
	{"$sha1$", "it is SHA1-crypt, which is guessed too fast"},
	{"$y$", "it is yescrypt"},
	{"$7$", "it is scrypt in a form that is not read"},
	{"$argon2d$", "it is argon2d"},
	{"$plaintext$", "it is the password itself"},
	{"{PLAIN", "it is the password itself"},
}

// refused says what a hash of a kind that is not taken looks like, and nothing of it.
func refused(hash string) string {
	for _, w := range weak {
		if len(hash) >= len(w.head) && strings.EqualFold(hash[:len(w.head)], w.head) {
			return w.what
		}
	}
	if _, err := hex.DecodeString(strings.TrimPrefix(hash, "*")); err == nil {
		switch len(strings.TrimPrefix(hash, "*")) {
		case 32, 40, 56, 64, 96, 128:
			return "it looks like a hash without salt, in hexadecimal"
		}
	}
	return "it is not well formed, or of a kind that is not known"
}

// readCost reads the kind and the cost from the head of an encoded digest and
// refuses what is out of bounds.
func readCost(encoded string) (kind string, cost map[string]int, err error) {
	parts := strings.Split(encoded, "$")
	if len(parts) < 4 {
		return "", nil, errors.New("it has no cost")
	}
	kind = parts[1]
	switch {
	case kind == argon2.AlgIdentifierVariantID, kind == argon2.AlgIdentifierVariantI:
		cost = numbers(parts[3])
		return kind, cost, bounds{"m": {8, maxMemoryKiB}, "t": {1, maxPasses}, "p": {1, maxLanes}}.hold(cost)
	case kind == bcrypt.AlgIdentifierVariantSHA256:
		cost = numbers(parts[2])
		return kind, cost, bounds{"r": {4, maxBcrypt}}.hold(cost)
	case kind == bcrypt.AlgIdentifier:
		cost = numbers("r=" + parts[2])
		return kind, cost, bounds{"r": {4, maxBcrypt}}.hold(cost)
	case strings.HasPrefix(kind, pbkdf2.AlgIdentifier):
		cost = numbers("rounds=" + parts[2])
		return kind, cost, bounds{"rounds": {1, maxRounds}}.hold(cost)
	case kind == scrypt.AlgIdentifier:
		cost = numbers(parts[2])
		return kind, cost, bounds{"ln": {1, maxScryptLN}, "r": {1, 8}, "p": {1, 4}}.hold(cost)
	case kind == shacrypt.AlgIdentifierSHA256, kind == shacrypt.AlgIdentifierSHA512:
		cost = map[string]int{"rounds": shacrypt.IterationsDefaultOmitted}
		if strings.HasPrefix(parts[2], "rounds=") {
			cost = numbers(parts[2])
		}
		return kind, cost, bounds{"rounds": {1000, maxRounds}}.hold(cost)
	}
	return "", nil, errors.New("it is of a kind without known cost")
}

type bounds map[string][2]int

func (b bounds) hold(cost map[string]int) error {
	for name, limits := range b {
		if v, ok := cost[name]; !ok || v < limits[0] || v > limits[1] {
			return fmt.Errorf("its cost %s must be between %d and %d", name, limits[0], limits[1])
		}
	}
	return nil
}

// numbers reads "m=19456,t=2,p=1"; what is not a number is left out.
func numbers(s string) map[string]int {
	cost := map[string]int{}
	for pair := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if n, err := strconv.Atoi(value); err == nil {
			cost[name] = n
		}
	}
	return cost
}

// match runs the hash function. A hash function that gives up is ErrStored.
func (s stored) match(password string) (ok bool, err error) {
	defer func() {
		if recover() != nil {
			ok, err = false, fmt.Errorf("%w: its hash function gave up", ErrStored)
		}
	}()
	ok, err = s.digest.MatchAdvanced(password)
	if err != nil {
		return false, fmt.Errorf("%w: its hash function failed", ErrStored)
	}
	return ok, nil
}

// sawAll says whether the hash function looked at the whole password. bcrypt ends
// after 72 bytes: what comes behind them was never checked and may be a slip, so
// it must not become part of a new hash.
func (s stored) sawAll(password string) bool {
	return s.kind != bcrypt.AlgIdentifier || len(password) <= bcrypt.PasswordInputSizeMax
}

// is says whether the hash is what Hash would make today.
func (s stored) is(p Params) bool {
	return s.kind == "argon2id" && s.cost["m"] == int(p.MemoryKiB) && s.cost["t"] == p.Iterations && s.cost["p"] == p.Parallelism &&
		len(s.digest.Key()) == 32 && len(s.digest.Salt()) == 16
}
