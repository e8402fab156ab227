// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"errors"
	"fmt"
	"image/color"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"
)

func TestTOTPSteps(t *testing.T) {
	for name, c := range map[string]struct {
		shift time.Duration
		want  error
	}{
		"now":             {0, nil},
		"one step early":  {30 * time.Second, nil},
		"one step late":   {-30 * time.Second, nil},
		"two steps early": {time.Minute, ErrWrong},
		"two steps late":  {-time.Minute, ErrWrong},
	} {
		w := newWorld(t)
		secret := w.totp(w.ada)
		w.clk.Advance(time.Hour)
		_, err := w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: w.codeAt(secret, w.clk.Now().Add(c.shift))})
		if !errors.Is(err, c.want) {
			t.Errorf("a code %s: %v, want %v", name, err, c.want)
		}
	}
}

func TestATOTPStepIsNeverAcceptedAgainNorAnOlderOne(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	prove := func(code string) error {
		_, err := w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: code})
		return err
	}
	now := w.clk.Now()
	w.ok("the step after", prove(w.codeAt(secret, now.Add(30*time.Second))))
	w.is("the same step again", prove(w.codeAt(secret, now.Add(30*time.Second))), ErrWrong)
	w.is("an older step that nobody used", prove(w.codeAt(secret, now)), ErrWrong)
	w.clk.Advance(30 * time.Second)
	w.is("the same step half a minute later", prove(w.codeAt(secret, now.Add(30*time.Second))), ErrWrong)
	w.ok("the next step", prove(w.codeAt(secret, now.Add(time.Minute))))
}

func TestTheCodeThatSetTOTPUpIsUsed(t *testing.T) {
	w := newWorld(t)
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), TOTP)
	w.ok("beginning", err)
	code := w.code(e.Secret)
	_, err = w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: TOTP, Code: code}, "")
	w.ok("finishing", err)
	_, err = w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: TOTP, Code: code})
	w.is("signing in with the code that was read over a shoulder", err, ErrWrong)
}

func TestCodesAsPeopleTypeThem(t *testing.T) {
	for in, want := range map[string]string{
		"123456": "123456", "123 456": "123456", " 123456\n": "123456", "1 2 3 4 5 6": "123456",
		"": "", "12345": "", "1234567": "", "12345a": "", "１２３４５６": "", "-12345": "", "+12345": "",
		strings.Repeat(" ", 40) + "123456": "",
	} {
		if got, ok := sixDigits(in); got != want || ok != (want != "") {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
}

func TestTOTPEnrolmentShowsWhatAppsRead(t *testing.T) {
	w := newWorld(t)
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), TOTP)
	w.ok("beginning", err)
	u, err := url.Parse(e.URI)
	w.ok("parsing the URI", err)
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Acme CRM:ada@example.com" || q.Get("issuer") != "Acme CRM" ||
		q.Get("secret") != strings.ReplaceAll(e.Secret, " ", "") || q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" {
		t.Errorf("apps cannot read %s", u.Redacted())
	}
	for _, bad := range []string{"<script", "style=", "href", "data:", "<image", "onload"} {
		if strings.Contains(strings.ReplaceAll(e.QR, `xmlns="http://www.w3.org/2000/svg"`, ""), bad) {
			t.Errorf("the QR code holds %q: a content security policy would refuse it", bad)
		}
	}
}

func TestQRDrawsEveryModule(t *testing.T) {
	const text = "otpauth://totp/Acme:ada@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Acme"
	svg, err := qrSVG(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	n := code.Bounds().Dx()
	drawn := map[[2]int]bool{}
	_, path, _ := strings.Cut(svg, `fill="#000" d="`)
	path, _, _ = strings.Cut(path, `"`)
	for run := range strings.SplitSeq(strings.TrimSuffix(path, "z"), "z") {
		var x, y, width, back int
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1H%d", &x, &y, &width, &back); err != nil || back != x {
			t.Fatalf("run %q: %v", run, err)
		}
		for i := range width {
			drawn[[2]int{x + i - quiet, y - quiet}] = true
		}
	}
	for y := range n {
		for x := range n {
			if drawn[[2]int{x, y}] != (code.At(x, y) == color.Black) {
				t.Fatalf("module %d,%d is wrong: no app reads the code", x, y)
			}
		}
	}
	if !strings.Contains(svg, fmt.Sprintf(`viewBox="0 0 %d %d"`, n+8, n+8)) {
		t.Error("the code has no quiet zone")
	}
}
