// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"html"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// The canaries. The phone's last four digits and the address's domain are what
// the masks leave, so they are no part of them.
const (
	canaryPhone = "9812345670"
	canaryMail  = "meera.nair"
	canaryPAN   = "bqkpn4821l"
)

// canaryDigests are digests from which the phone is found by counting.
var canaryDigests = sync.OnceValue(func() []string {
	var out []string
	for _, s := range []string{canaryPhone, "+91" + canaryPhone, "+91-" + canaryPhone, "meera.nair@canary.example", "BQKPN4821L", leakLead, "[" + leakLead + "]"} {
		m, s1, s2 := md5.Sum([]byte(s)), sha1.Sum([]byte(s)), sha256.Sum256([]byte(s))
		for _, d := range [][]byte{m[:], s1[:], s2[:]} {
			out = append(out, hex.EncodeToString(d), strings.ToLower(base64.StdEncoding.EncodeToString(d)))
		}
	}
	return out
})

var (
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}`)
	unicodes  = regexp.MustCompile(`\\u[0-9a-fA-F]{4}`)
)

// findCanaries returns the canaries in b, in whatever coding they are.
func findCanaries(b []byte) []string {
	found := map[string]bool{}
	lookInto(b, found, 0)
	var out []string
	for f := range found {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// lookInto looks at b as it is and as it is once decoded.
func lookInto(b []byte, found map[string]bool, depth int) {
	look(string(b), found)
	if depth == 3 || len(b) > 4<<20 {
		return
	}
	for _, coding := range []string{"gzip", "deflate", "raw-deflate", "br", "zstd"} {
		if d := decodeBody(coding, b); len(d) > 0 && !bytes.Equal(d, b) {
			lookInto(d, found, depth+1)
		}
	}
	if parts := unpackWorkbook(b); !bytes.Equal(parts, b) {
		lookInto(parts, found, depth+1)
	}
	for _, run := range base64Run.FindAll(b, 2000) {
		if d := decode64(string(run)); len(d) > 0 {
			look(d, found)
		}
	}
}

// look searches one text in the forms a client's own code would turn it into.
func look(s string, found map[string]bool) {
	lower := strings.ToLower(s) + "\n" + s // what is not UTF-8 does not survive ToLower
	if bare := strings.ReplaceAll(lower, "\x00", ""); bare != lower {
		lower += "\n" + bare
	}
	for what, forms := range map[string][]string{
		"the phone":                   {canaryPhone, canaryPhone[:7], "\xf9\xf8\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf0"},
		"the phone in another script": {"९८१२३४५६७०", "９８１２３４５６７０"},
		"the address":                 {canaryMail}, "the PAN": {canaryPAN}, "a digest": canaryDigests(),
	} {
		for _, f := range forms {
			if strings.Contains(lower, f) {
				found[what] = true
			}
		}
	}
	s = strings.ReplaceAll(s, "\x00", "")
	s = unicodes.ReplaceAllStringFunc(s, func(u string) string {
		n, _ := strconv.ParseUint(u[2:], 16, 16)
		return string(rune(n))
	})
	for _, form := range []string{s, html.UnescapeString(s), unescapePercent(s), unescapePercent(unescapePercent(s))} {
		letters := keep(strings.ToLower(form), func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' })
		digits := keep(letters, func(c byte) bool { return c >= '0' && c <= '9' })
		for what, yes := range map[string]bool{
			"the phone": strings.Contains(digits, canaryPhone), "the PAN": strings.Contains(letters, canaryPAN),
			"the address": strings.Contains(letters, "meeranaircanaryexample"),
		} {
			if yes {
				found[what] = true
			}
		}
	}
}

func keep(s string, is func(byte) bool) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if is(s[i]) {
			out = append(out, s[i])
		}
	}
	return string(out)
}

func unescapePercent(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

func decode64(s string) string {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	d, err := base64.RawStdEncoding.DecodeString(s[:len(s)&^3])
	if err != nil {
		return ""
	}
	return string(d)
}

// decodeBody undoes one content coding as far as it goes.
func decodeBody(coding string, b []byte) []byte {
	var r io.Reader
	var err error
	switch in := bytes.NewReader(b); coding {
	case "gzip":
		r, err = gzip.NewReader(in)
	case "deflate":
		r, err = zlib.NewReader(in)
	case "raw-deflate":
		r = flate.NewReader(in)
	case "br":
		r = brotli.NewReader(in)
	case "zstd":
		z, e := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20))
		if e != nil {
			return nil
		}
		defer z.Close()
		r = z
	default:
		return b
	}
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(r, 4<<20))
	return out
}

// TestLeaksFinder: what is looked for is found in any coding, and only then.
func TestLeaksFinder(t *testing.T) {
	phone := "+91-98123 45670"
	for _, s := range []string{
		phone, url.QueryEscape(phone), "%252B9812345670", base64.StdEncoding.EncodeToString([]byte("{\"a\":\"" + phone + "\"}")), "\\u0039812345670",
		"&#57;812345670", "9.8.1.2.3.4.5.6.7.0", "MEERA.NAIR@x", "meera%2Enair%40canary.example", "b q k p n 4821 L", canaryDigests()[0],
	} {
		if len(findCanaries([]byte("x "+s+" y"))) == 0 {
			t.Errorf("the corpus would not see %q come through", s)
		}
		for _, form := range []string{"gzip", "br", "zstd", "deflate", "raw-deflate", "utf-16le", "utf-32le"} {
			b, err := encodeBody(form, []byte("x "+s+" y"))
			if err != nil {
				t.Fatal(err)
			}
			if len(findCanaries(b)) == 0 && (form[0] != 'u' || !strings.Contains(s, "ey")) { // nobody reads base64 as UTF-16
				t.Errorf("the corpus would not see %q come through as %s", s, form)
			}
		}
	}
	if f := findCanaries([]byte(`[{"Phone":"+91XXXXXX5670","EmailAddress":"XXXXXX@canary.example"}]`)); len(f) > 0 {
		t.Errorf("the masks themselves are taken for leaks: %v", f)
	}
}
