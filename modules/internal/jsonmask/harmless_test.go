// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"math/rand/v2"
	"testing"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
)

var harmlessSeeds = []string{
	"J\u00fcr\u00adgen Hol\u200bm, Pune",
	"", "Active", "Pending since last week", "0", "999", "9999", "98765432", "a@b.in", "1@2.3", "२३", "a%40b.in", "ABCPE1234F",
	"2024-05-17", "1990-02-31", "3024-05-17", "2024-13-17", "2024-05-17 10:11:12", "2024-05-17T10:11:12Z",
	"2024-05-17 10:11:12.000", "2024-05-17T10:11:12.000Z", "2024-05-17 98765 43210", "2024-05-17/98765432",
	"5b1fa3c2-4f89-11d3-9a0c-0305e82c0001", "12345678-1234-1234-1234-123456789012", "98765432-1098-7654-3210-987654321098",
	"+91-9876543210", "98765 43210", "\u0968\u0969\u096a\u096b\u096c\u096d\u096e\u096f", "J\u00fcrgen", "4111111111111111", "1.2.3.4",
	"a&#64;b.in", "a&commat;b.in", "meera&#x40canary.example", "&ampmeera<!--", "a%b.in<br", "A & B & <5% of 40%", "<b>98123</b>45670",
	"\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "\u0663\u0664 98123", "Batch 2026-B", "ABCPE1234 F", "BCPE1234F",
	"<i>a@b</i>.in", "OTgxMjM0NTY3MCBub3c=", "bWVlcmFAY2FuYXJ5LmV4YW1wbGU",
	"info\uff20example.com", "a\ufe6bb.in", "asha@b\u3002in", `"a b"@c.in`, "\uff10\uff13\uff08\uff11\uff12\uff13\uff14\uff09\uff15\uff16\uff17\uff18", "+1.4155552671",
}

// checkHarmless says what is wrong with the short way for a text.
func checkHarmless(text []byte) string {
	if !harmless(text) {
		return ""
	}
	if _, n := mask.Detect(nil, text); n > 0 {
		return "personal data is shown"
	}
	if len(mask.AppendRuns(nil, text)) > 0 || len(text) >= echo.Shortest && len(mask.AppendViews(nil, text)) > 0 {
		return "a known number is shown in another writing, or a known value in another form"
	}
	return ""
}

// TestHarmlessIsNeverWrong changes texts of the known kinds by a few bytes: what
// the detectors find in any of them must not be passed over.
func TestHarmlessIsNeverWrong(t *testing.T) {
	const alphabet = "0123456789-: .TZ@%/+xaAPF_&<>=;"
	r := rand.New(rand.NewPCG(3, 4))
	found := 0
	for _, seed := range harmlessSeeds {
		for range 20_000 {
			text := []byte(seed)
			for range r.IntN(5) {
				i := r.IntN(len(text) + 1)
				c := alphabet[r.IntN(len(alphabet))]
				switch {
				case i == len(text):
					text = append(text, c)
				case r.IntN(4) == 0:
					text = append(text[:i], text[i+1:]...)
				default:
					text[i] = c
				}
			}
			if fault := checkHarmless(text); fault != "" {
				t.Fatalf("%q: %s", text, fault)
			}
			if _, n := mask.Detect(nil, text); n > 0 {
				found++
			}
		}
	}
	if found < 10_000 {
		t.Errorf("only %d texts hold anything: the test would not notice", found)
	}
}

func TestHarmlessKnowsWhatMostFieldsHold(t *testing.T) {
	for _, text := range []string{
		"", "Active", "Pending since last week", "Bengaluru, Karnataka", "999", "2024-05-17", "2024-05-17 10:11:12",
		"2024-05-17T10:11:12Z", "2024-05-17 10:11:12.000", "5b1fa3c2-4f89-11d3-9a0c-0305e82c0001", "560001", "Flat 123, 4th Cross", "J\u00fcrgen",
		"Batch 2026-B", "Rao & Sons", "up to 50% off", "<5 years", "\u0141ukasz Brz\u0119czyszczykiewicz", "\u0413\u0440\u0438\u0433\u043e\u0440\u0438\u0439 42", "\u092e\u0940\u0930\u093e",
	} {
		if !harmless([]byte(text)) {
			t.Errorf("%q is searched the long way: every page of records takes longer", text)
		}
	}
}

func FuzzHarmless(f *testing.F) {
	for _, s := range harmlessSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if fault := checkHarmless(text); fault != "" {
			t.Fatalf("%q: %s", text, fault)
		}
	})
}
