// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance of "#rrggbb", WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestContrast(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/portal.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("the style sheet has no dark scheme")
	}
	dark, _, _ := strings.Cut(rest, "box-sizing")
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	for name, part := range map[string]string{"light": light, "dark": dark} {
		colour := map[string]string{}
		for _, m := range variable.FindAllStringSubmatch(part, -1) {
			colour[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "card", 4.5},
			{"text", "ground", 4.5},
			{"text", "glow", 4.5},
			{"text", "bad-ground", 4.5},
			{"text", "good-ground", 4.5},
			{"muted", "card", 4.5},
			{"muted", "ground", 4.5},
			{"muted", "glow", 4.5},
			{"accent", "card", 4.5},
			{"accent", "good-ground", 4.5},
			{"on-accent", "accent", 4.5},
			{"on-accent", "accent-deep", 4.5},
			{"bad", "bad-ground", 4.5},
			{"bad", "card", 4.5},
			{"edge", "card", 3},
			{"accent", "ground", 3},
		} {
			a, b := colour[pair.front], colour[pair.back]
			if a == "" || b == "" {
				t.Fatalf("%s: colour %s or %s is not in the style sheet", name, pair.front, pair.back)
			}
			hi, lo := luminance(t, a), luminance(t, b)
			ratio := (max(hi, lo) + 0.05) / (min(hi, lo) + 0.05)
			if ratio < pair.least {
				t.Errorf("%s: %s on %s has contrast %.2f, want %.1f: people with weak eyes cannot read it", name, pair.front, pair.back, ratio, pair.least)
			}
		}
	}
}
