// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	const x = FullText
	for in, want := range map[string]string{
		"call +91 98765-43210 now":             "call " + x + " now",
		"Ph:9876543210|CP":                     "Ph:" + x + "|CP",
		"Ph9876543210":                         "Ph" + x,
		"tel:+14155552671.":                    "tel:" + x + ".",
		"(022) 2345-6789":                      "(" + x,
		"98765.43210":                          x,
		"98 76 54 32 10":                       x,
		"9876543210 9123456780":                x,
		"9876543210, 9123456780":               x + ", " + x,
		"98765\u00a043210 or 98765\u201143210": x + " or " + x,
		"９８７６５４３２１０":                           x,
		"٩٨٧٦٥٤٣٢١٠":                           x,
		"ssn 078-05-1120":                      "ssn " + x,
		"uid 2345 6789 0124":                   "uid " + x,
		"card 4111-1111-1111-1111":             "card " + x,
		"card 4111111111111111":                "card " + x,
		"<b>98765432</b>10":                    "<b>" + x + "</b>",
		`{"SourceNumber":"+919876543210"}`:     `{"SourceNumber":"` + x + `"}`,
		"mail asha.rao@example.co.in, please":  "mail " + x + ", please",
		"x?m=asha%40example.in&y":              "x?m=" + x + "&y",
		"pan abcpe1234f.":                      "pan " + x + ".",
		"ABCPE1234F":                           x,
		"on 2024-05-17 98765 43210":            "on 2024-05-17 " + x,
		"9876543210 2024-05-17":                x + " 2024-05-17",
		"98765\u206043210, 98765\u00ad43210":   x + ", " + x,
		"+91\u202c \u206698765\u206943210":     x,
		"SSN:\u00a0078-05-1120":                "SSN:\u00a0" + x,
		"“078-05-1120”":                        "“" + x + "”",
		"«98765432»":                           "«" + x + "»",
		"tel：98765432。":                        "tel：" + x + "。",
		"☎\ufe0f98765432":                      "☎\ufe0f" + x,
		"•\u200e98765432\u200e":                "•\u200e" + x + "\u200e",
		"PAN:\u00a0ABCPE1234F":                 "PAN:\u00a0" + x,
		"“ABCPE1234F”, “ABCPE1234F”":           "“" + x + "”, “" + x + "”",
		"(415) - 555-2671 ext. 12":             "(" + x + " ext. 12",
		"+376 (312) - 345":                     x,
		"[268] 464-1234":                       "[" + x,
		"０３（１２３４）５６７８":                         x,
		"TEL：０４５－２２２－３３３３":                     "TEL：" + x,
		"０３ー１２３４ー５６７８":                         x,
		"03\u30001234\u30005678":               x,
		"03・1234・5678":                         x,
		"9\ufe0f\u20e38\ufe0f\u20e37\ufe0f\u20e36\ufe0f\u20e35\ufe0f\u20e34\ufe0f\u20e33\ufe0f\u20e32\ufe0f\u20e3": x + "\ufe0f\u20e3",
		"9\u061c8765432":                x,
		"+1.4155552671":                 x,
		"+355.22.345.678":               x,
		"420.601.123.456":               x,
		"02.123.45.67":                  x,
		"tel:02.12345678":               "tel:" + x,
		`"asha rao"@example.in, please`: x + ", please",
		"info＠example.com":              x,
		"asha﹫example.in":               x,
		"asha@example。com。":             x,
		"asha＠ｅｘａｍｐｌｅ．ｃｏｍ":              x,
		"/t?m=asha%2Brao%40example.in":  "/t?m=" + x,
	} {
		got, n := Detect([]byte("pre"), []byte(in))
		if string(got) != "pre"+want || n == 0 {
			t.Errorf("Detect(%q) = %q (%d), want %q: personal data in free text is shown", in, got[3:], n, want)
		}
		again, n := Detect(nil, got[3:])
		if n != 0 || !bytes.Equal(again, got[3:]) {
			t.Errorf("Detect finds something in its own answer %q", got[3:])
		}
	}
}

func TestDetectLeavesAlone(t *testing.T) {
	for _, in := range []string{
		"", "Asha", "2024-05-17", "2024-05-17 10:11:12.000", "17/05/2024 10:11", "2024-05-17T10:11:12Z",
		"3f2504e0-4f89-11d3-9a0c-0305e82c3301", "12345678-1234-1234-1234-123456789012",
		"192.168.100.100", "12.97159870", "1234567.89", "1,234,567,890", "mx_Custom_12345678", "OT_12003",
		"1234567", "9007199254740993", "12345678901234567890123", "@home", "a@b", "50% @ 10", "ABCXE1234F", "XXXXXXXX",
		"+91XXXXXX3210", "XXXXXX@example", "№\u00a03f2504e0-4f89-11d3-9a0c-0305e82c3301", "“2024-05-17 10:11:12”",
		"номер98765432", "मोबाइल98765432", "98765432号",
		"10:11:05.1234567", "2024-05-17T10:11:05.123456789Z", "0.123456789", "+1234567.89", "4.18.2024.12", "担当者@田中。明日", "東京＠新宿",
		"1234567 ----- 1234567", `"asha"@home`,
	} {
		if got, n := Detect(nil, []byte(in)); n != 0 || string(got) != in {
			t.Errorf("Detect(%q) = %q: harmless text is destroyed", in, got)
		}
	}
}

func FuzzDetect(f *testing.F) {
	f.Add("call +91 98765-43210 or asha@example.in, ABCPE1234F, 2024-05-17")
	f.Add("\xff\xfe9\u00a08\u200b７")
	f.Fuzz(func(t *testing.T, s string) {
		got, n := Detect(nil, []byte(s))
		if n == 0 && string(got) != s {
			t.Fatalf("nothing found, yet %q became %q", s, got)
		}
		if n > 0 && !bytes.Contains(got, []byte(FullText)) {
			t.Fatalf("%d found in %q, none replaced in %q", n, s, got)
		}
		for _, canary := range []string{"9876543210", "+91 98765-43210", "(022) 2345-6789", "asha.rao@example.co.in", "ABCPE1234F", "4111111111111111", "2345 6789 0124", "m=asha%40example.in"} {
			got, _ = Detect(nil, []byte(s+"\n"+canary+"\n"+s))
			if strings.Contains(string(got), "\n"+canary+"\n") {
				t.Fatalf("%s between %q is shown", canary, s)
			}
		}
	})
}
