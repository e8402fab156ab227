// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"strings"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
)

// Bounds of what the estimate looks at: its time grows with the square of the
// length, and with every way of reading digits and signs as letters.
const (
	maxScored    = 128 // characters; what comes behind them cannot make a password weaker
	maxLeet      = 32  // characters up to which maxLeetShort different signs are read as letters
	maxLeetShort = 6
	maxLeetLong  = 3 // in a longer one
)

// leet are the digits and signs the estimate reads as letters.
const leet = "4@8({[<3690!|1/7$5+%2"

// Score estimates how hard a password is to guess for somebody who knows the
// person's name and address, by zxcvbn: 0 too guessable, 1 very guessable, 2
// somewhat, 3 safely unguessable, 4 very unguessable. It looks at the first 128
// characters and takes some tens of milliseconds. An estimate that fails
// is 0.
func Score(password string, who Person) (score int) {
	defer func() {
		if recover() != nil {
			score = 0
		}
	}()
	runes := []rune(password)
	password = string(runes[:min(len(runes), maxScored)])
	words := append(who.parts(), strings.ToLower(who.Email), strings.ToLower(who.Name), "crmgate")
	words = words[:min(len(words), 32)]
	var without []func(match.Matcher) bool
	if n := leetSigns(password); n > maxLeetShort || n > maxLeetLong && len(runes) > maxLeet {
		without = append(without, matching.FilterL33tMatcher)
	}
	return min(max(zxcvbn.PasswordStrength(password, words, without...).Score, 0), 4)
}

func leetSigns(password string) (n int) {
	for _, r := range leet {
		if strings.ContainsRune(password, r) {
			n++
		}
	}
	return n
}
