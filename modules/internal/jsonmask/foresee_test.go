// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// Values are long here because the quick way is left near the end of a body.
const (
	far    = "Bengaluru, Karnataka"
	number = "+919876543210"
)

// warm is a body that teaches a masker the names and pairs of the cases below,
// in more than one order.
const warm = `[{"a":"` + far + `","b":"` + far + `","Phone":"` + number + `","mx_PAN":"s","c":"` + far + `"},` +
	`{"b":"` + far + `","a":"` + far + `","Phone":"","c":"` + far + `"},` +
	`{"a":"` + far + `","b":"` + far + `","c":"` + far + `","a1":"` + far + `"},` +
	`{"c":"x","List":[{"Attribute":"City","Value":"` + far + `"},{"Attribute":"Phone","Value":"` + number + `"},{"Attribute":"mx_PAN","Value":"s"},{"Attribute":"City","Value":"` + far + `"},{"Attribute":"State","Value":"` + far + `"}]}]`

// warmed is a masker that has read warm several times, and what it made of it.
func warmed(t *testing.T, p *plan.Plan) *Masker {
	t.Helper()
	m := New(p, viewer, Limits{})
	for range 3 {
		out, err := m.Append(nil, []byte(warm))
		if err != nil || strings.Contains(string(out), number) || strings.Contains(string(out), "mx_PAN") {
			t.Fatalf("%v: %s", err, out)
		}
		m.Reset(p, viewer, Limits{})
	}
	return m
}

// TestForeseenNeverDecides holds that a masker that has learned names answers a
// body that is almost what it foresees as one that knows nothing does. The cases
// are what went wrong in other maskers of this kind; each would have shown or
// broken data.
func TestForeseenNeverDecides(t *testing.T) {
	list := func(pairs string) string {
		return `[{"c":"x","List":[{"Attribute":"City","Value":"` + far + `"},` + pairs + `,{"Attribute":"State","Value":"` + far + `"}],"end":"` + far + `"}]`
	}
	rec := func(members string) string {
		return `[{"a":"` + far + `",` + members + `,"c":"` + far + `"},{"end":"` + far + `"}]`
	}
	for _, c := range []struct{ name, in, want string }{
		{"foreseen bytes are the beginning of others, an array follows", rec(`"b":["x",{"Phone":"` + number + `"}]`), rec(`"b":["x",{"Phone":"+91XXXXXX3210"}]`)},
		{"foreseen bytes are the beginning of others, an object follows", rec(`"b":{"mx_PAN":"s","x":1}`), rec(`"b":{"x":1}`)},
		{"foreseen bytes are the beginning of others, a blank follows", rec(`"b": {"Phone":"` + number + `"}`), rec(`"b": {"Phone":"+91XXXXXX3210"}`)},
		{"a longer name than foreseen", rec(`"b1":"98765 43210"`), rec(`"b1":"XXXXXXXX"`)},
		{"a pair in the value of a pair", list(`{"Attribute":"City","Value":[{"Attribute":"Phone","Value":"` + number + `"}]}`), list(`{"Attribute":"City","Value":[{"Attribute":"Phone","Value":"+91XXXXXX3210"}]}`)},
		{"a pair as the value of a pair", list(`{"Attribute":"City","Value":{"Attribute":"mx_PAN","Value":"s"}}`), list(`{"Attribute":"City","Value":null}`)},
		{"value before name", list(`{"Value":"` + number + `","Attribute":"Phone"}`), list(`{"Value":"+91XXXXXX3210","Attribute":"Phone"}`)},
		{"value before a hidden name", list(`{"Value":"s","Attribute":"mx_PAN"},{"Attribute":"State","Value":"x"}`), list(`{"Attribute":"State","Value":"x"}`)},
		{"several members between name and value", list(`{"Attribute":"Phone","a":1,"b":[{}],"Value":"` + number + `"}`), list(`{"Attribute":"Phone","a":1,"b":[{}],"Value":"+91XXXXXX3210"}`)},
		{"members behind the value", list(`{"Attribute":"City","Value":"x","Phone":"` + number + `","mx_PAN":1}`), list(`{"Attribute":"City","Value":"x","Phone":"+91XXXXXX3210"}`)},
		{"a masked pair with members behind the value", list(`{"Attribute":"Phone","Value":"` + number + `","Note":"98765 43210"}`), list(`{"Attribute":"Phone","Value":"+91XXXXXX3210","Note":"+91XXXXXX3210"}`)},
		{"a blank before the value of a pair", list(`{"Attribute":"State","Value": "98765 43210"},{"Attribute":"City","Value": "x"}`), list(`{"Attribute":"State","Value": "XXXXXXXX"},{"Attribute":"City","Value": "x"}`)},
		{"a pair of a name alone", list(`{"Attribute":"State"},{"Attribute":"Phone"},{"Attribute":"Phone","Value":"` + number + `"}`), list(`{"Attribute":"State"},{"Attribute":"Phone"},{"Attribute":"Phone","Value":"+91XXXXXX3210"}`)},
		{"a pair of a name and something else", list(`{"Attribute":"Phone","Note":"x"},{"Attribute":"Phone","Note":"x"}`), list(`{"Attribute":"Phone","Note":"x"},{"Attribute":"Phone","Note":"x"}`)},
		{"a blank before the end of a pair", list(`{"Attribute":"Phone","Value":"` + number + `" }`), list(`{"Attribute":"Phone","Value":"+91XXXXXX3210" }`)},
		{"two members dropped at the start", `[{"mx_PAN":1,"98765 43210":2,"a":"` + far + `","b":"` + far + `"}]`, `[{"a":"` + far + `","b":"` + far + `"}]`},
		{"two pairs dropped at the start", `[{"c":"x","List":[{"Attribute":"mx_PAN","Value":"s"},{"Attribute":"mx_PAN","Value":"s"},{"Attribute":"City","Value":"` + far + `"}]}]`, `[{"c":"x","List":[{"Attribute":"City","Value":"` + far + `"}]}]`},
		{"the only element dropped", `[{"c":"x","List":[{"Attribute":"mx_PAN","Value":"s"}],"end":"` + far + `"}]`, `[{"c":"x","List":[],"end":"` + far + `"}]`},
		{"a name with an escape", rec(`"\u0050hone":"` + number + `","m\u0078_PAN":"s"`), rec(`"\u0050hone":"+91XXXXXX3210"`)},
		{"a pair's name with an escape", list(`{"Attribute":"\u0050hone","Value":"` + number + `"},{"\u0041ttribute":"mx_PA\u004e","Value":1}`), list(`{"Attribute":"\u0050hone","Value":"+91XXXXXX3210"}`)},
		{"another case of a name", rec(`"PHONE":"` + number + `","MX-pan":"s"`), rec(`"PHONE":"+91XXXXXX3210"`)},
		{"another case of a pair's name", list(`{"attribute":"PHONE","VALUE":"` + number + `"},{"ATTRIBUTE":"mxpan","value":1}`), list(`{"attribute":"PHONE","VALUE":"+91XXXXXX3210"}`)},
		{"a masked value that is an object or an array", rec(`"Phone":{"a":["` + number + `"]}`), rec(`"Phone":null`)},
		{"a masked pair's value that is an object or an array", list(`{"Attribute":"Phone","Value":["` + number + `"]},{"Attribute":"Phone","Value":{"a":1}},{"Attribute":"Phone","Value":9876543210}`), list(`{"Attribute":"Phone","Value":null},{"Attribute":"Phone","Value":null},{"Attribute":"Phone","Value":null}`)},
		{"a hidden value that is an object", rec(`"mx_PAN":{"a":[{"b":"}"}]},"b":"x"`), rec(`"b":"x"`)},
		{"escapes in values", rec(`"b":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","Phone":"\u002b919876543210"`), rec(`"b":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","Phone":"+91XXXXXX3210"`)},
		{"personal data in a value that was plain", rec(`"b":"call 98765 43210"`), rec(`"b":"call XXXXXXXX"`)},
		{"personal data in the value of a pair that was plain", list(`{"Attribute":"City","Value":"asha@example.in"}`), list(`{"Attribute":"City","Value":"XXXXXXXX"}`)},
		{"names in another order", rec(`"Phone":"` + number + `","b":"x","mx_PAN":1`), rec(`"Phone":"+91XXXXXX3210","b":"x"`)},
		{"numbers and literals", rec(`"b":-1.50e+3,"Phone":null`), rec(`"b":-1.50e+3,"Phone":null`)},
	} {
		p := flat(map[string]*plan.Node{"list": pairsOf("attribute", "value")})
		m := warmed(t, p)
		for size := range 13 {
			if size == 0 {
				size = 1 << 20
			}
			got, err := io.ReadAll(m.Reader(&fixed{[]byte(c.in), size}))
			cold, coldErr := New(p, viewer, Limits{}).Append(nil, []byte(c.in))
			if (err == nil) != (c.want != "") || err == nil && string(got) != c.want {
				t.Errorf("%s, in chunks of %d: %v\ngot  %s\nwant %s", c.name, size, err, got, c.want)
			}
			if fmt.Sprint(err) != fmt.Sprint(coldErr) || err == nil && string(got) != string(cold) {
				t.Errorf("%s, in chunks of %d: having learned gives %v, not %v\n%s\n%s", c.name, size, err, coldErr, got, cold)
			}
			m.Reset(p, viewer, Limits{})
		}
	}
}

// TestLearningPoisonsNothing holds that what one body taught makes no hostile one
// pass: each is refused, at the same place, as by a masker that knows nothing.
func TestLearningPoisonsNothing(t *testing.T) {
	const a, b = `"a":"` + far + `"`, `"b":"` + far + `"`
	const city = `{"Attribute":"City","Value":"` + far + `"}`
	list := func(pairs string) string {
		return `[{"c":"x","List":[` + city + `,` + pairs + `,` + city + `],"end":"` + far + `"}]`
	}
	value := func(v string) string { return `[{` + a + `,"b":"` + v + `","c":"` + far + `"},{` + b + `}]` }
	for name, in := range map[string]string{
		"a name twice":                            `[{"c":"x",` + a + `,` + b + `,` + a + `,` + b + `}]`,
		"a name twice, one of them first":         `[{` + a + `,` + b + `,` + a + `,` + b + `}]`,
		"a name twice in a row":                   `[{"c":"x",` + a + `,` + a + `,` + b + `}]`,
		"a name twice, once in an escape":         `[{"c":"x",` + a + `,` + b + `,"\u0061":1,` + b + `}]`,
		"an escaped name, then as foreseen":       `[{"c":"x","\u0061":1,` + b + `,` + a + `,"z":"` + far + `"}]`,
		"a masked name in two cases":              `[{` + a + `,"PHONE":"x",` + b + `,"Phone":"` + number + `","c":"` + far + `"}]`,
		"a hidden name in two spellings":          `[{` + a + `,` + b + `,"mxPAN":"x","Phone":"","mx_PAN":"s","c":"` + far + `"}]`,
		"bytes that are not UTF-8 in a value":     value("\xff" + far),
		"half a character in a value":             value("x\xc3"),
		"an encoded surrogate in a value":         value("\xed\xa0\x80" + far),
		"bytes that are not UTF-8 in a name":      `[{` + a + `,"b` + "\xff" + `":"` + far + `","c":"` + far + `"}]`,
		"a control character in a value":          value("\n" + far),
		"a NUL in a value":                        value(far + "\x00"),
		"a lone high surrogate in a value":        value(`\ud800` + far),
		"a lone low surrogate in a value":         value(`\udc00` + far),
		"an unknown escape in a value":            value(`\x` + far),
		"half an escape in a value":               value(`\u12`),
		"a missing comma":                         `[{` + a + b + `,"c":"` + far + `"}]`,
		"two commas":                              `[{` + a + `,,` + b + `,"c":"` + far + `"}]`,
		"a comma at the end":                      `[{` + a + `,` + b + `,}]`,
		"a missing colon":                         `[{` + a + `,"b""` + far + `","c":"` + far + `"}]`,
		"a missing value":                         `[{` + a + `,"b":,"c":"` + far + `"}]`,
		"a number with a leading zero":            `[{` + a + `,"b":01,"c":"` + far + `"}]`,
		"a bare word":                             `[{` + a + `,"b":nul,"c":"` + far + `"}]`,
		"text without its end":                    `[{` + a + `,` + b + `,"c":"` + far,
		"bytes that are not UTF-8 in a pair":      list(`{"Attribute":"City","Value":"` + "\xff" + `"}`),
		"a control character in a pair":           list(`{"Attribute":"City","Value":"` + "\t" + `"}`),
		"a lone surrogate in a pair":              list(`{"Attribute":"Phone","Value":"\ud800"}`),
		"a lone surrogate in a hidden pair":       list(`{"Attribute":"mx_PAN","Value":"\ud800"}`),
		"a second value in a pair":                list(`{"Attribute":"City","Value":"x","Value":"` + number + `"}`),
		"a second value in an escape":             list(`{"Attribute":"City","Value":"x","V\u0061lue":"` + number + `"}`),
		"a second value in another case":          list(`{"Attribute":"City","Value":"x","value":"` + number + `"}`),
		"a second name in a pair":                 list(`{"Attribute":"City","Value":"x","Attribute":"Phone"}`),
		"a second name in another case":           list(`{"Attribute":"City","Value":"x","attribute":"Phone"}`),
		"a pair without its end":                  list(`{"Attribute":"City","Value":"x"`),
		"a pair with the end of a list":           list(`{"Attribute":"City","Value":"x"]`),
		"a foreseen pair with the end of a list":  list(`{"Attribute":"State","Value":"x"],` + city),
		"a foreseen pair with a comma as its end": list(`{"Attribute":"State","Value":"x",,` + city),
		"no comma between pairs":                  list(city + city),
		"two commas between pairs":                list(city + `,,` + city),
		"a pair with a number of leading zeros":   list(`{"Attribute":"City","Value":00}`),
	} {
		p := flat(map[string]*plan.Node{"list": pairsOf("attribute", "value")})
		m := warmed(t, p)
		for _, size := range []int{1 << 20, 1, 2, 3, 5, 8, 11} {
			_, cold := New(p, viewer, Limits{}).Append(nil, []byte(in))
			_, err := io.ReadAll(m.Reader(&fixed{[]byte(in), size}))
			var se *SyntaxError
			if !errors.As(err, &se) || err.Error() != fmt.Sprint(cold) {
				t.Errorf("%s, in chunks of %d: %v, without learning %v: what one answer taught lets another one through", name, size, err, cold)
			}
			m.Reset(p, viewer, Limits{})
		}
	}
}

// TestNothingForeseenWithoutGlue holds that a name that never stood behind a value
// is not taken to stand behind one, where it would be no name at all.
func TestNothingForeseenWithoutGlue(t *testing.T) {
	for _, between := range []string{"", ",", ":", "\"", "1", "null", `"x"`, "{", "["} {
		m := New(flat(nil), viewer, Limits{})
		for _, body := range []string{`[{"p":1},{"q":1}]`, `[{"p":1},{"q":1}]`} {
			if _, err := m.Append(nil, []byte(body)); err != nil {
				t.Fatal(err)
			}
			m.Reset(m.Plan(), viewer, Limits{})
		}
		in := `[{"p":[12]` + between + `"` + far + `","z":"` + far + far + far + `"}]`
		var se *SyntaxError
		if got, err := m.Append(nil, []byte(in)); !errors.As(err, &se) {
			t.Errorf("%v after %s: what is no JSON goes through, and nobody looked at it: %s", err, in, got)
		}
	}
}

// TestLimitsHoldForWhatIsLearned holds that a masker that has learned refuses
// what is beyond limits that became lower.
func TestLimitsHoldForWhatIsLearned(t *testing.T) {
	p := flat(map[string]*plan.Node{"list": pairsOf("attribute", "value")})
	long := `[{"c":"x","` + strings.Repeat("n", 40) + `":"` + far + `","b":"` + far + `"}]`
	for name, c := range map[string]struct {
		in  string
		lim Limits
	}{
		"members":           {warm, Limits{Members: 4}},
		"members of a pair": {`[{"List":[{"Attribute":"City","Value":"` + far + `"}]}]`, Limits{Members: 1}},
		"nesting":           {`[{"List":[{"Attribute":"City","Value":"` + far + `"}]}]`, Limits{Depth: 3}},
		"names":             {long, Limits{Name: 39}},
		"records":           {warm, Limits{Record: 60}},
	} {
		m := warmed(t, p)
		if _, err := m.Append(nil, []byte(long)); err != nil {
			t.Fatal(err)
		}
		m.Reset(p, viewer, c.lim)
		_, err := m.Append(nil, []byte(c.in))
		if _, ok := errors.AsType[*LimitError](err); !ok {
			t.Errorf("%s: %v: one answer may make the gateway hold more than it should", name, err)
		}
	}
}

// TestLearningEnds holds that bodies whose names and pairs never come twice make
// a masker neither grow nor err.
func TestLearningEnds(t *testing.T) {
	p := flat(map[string]*plan.Node{"list": pairsOf("attribute", "value")})
	m := New(p, viewer, Limits{})
	for k := range 40 {
		var in, want strings.Builder
		in.WriteString(`[{"z":1`)
		want.WriteString(`[{"z":1`)
		for i := range 300 {
			fmt.Fprintf(&in, `,"n%dx%d":{"Phone":"%s","m%dx%d":1},"List%dx%d":"x"`, k, i, number, k, i, k, i)
			fmt.Fprintf(&want, `,"n%dx%d":{"Phone":"+91XXXXXX3210","m%dx%d":1},"List%dx%d":"x"`, k, i, k, i, k, i)
		}
		got, err := m.Append(nil, []byte(in.String()+`,"List":[{"Attribute":"c`+fmt.Sprint(k)+`","Value":"x"}]}]`))
		if wanted := want.String() + `,"List":[{"Attribute":"c` + fmt.Sprint(k) + `","Value":"x"}]}]`; err != nil || string(got) != wanted {
			t.Fatalf("body %d: %v, %.200s", k, err, got)
		}
		if m.learned > maxLearnedAll {
			t.Fatalf("body %d: %d names are kept: one sender's names fill the gateway", k, m.learned)
		}
		m.Reset(p, viewer, Limits{})
	}
	if m.learned < maxLearned {
		t.Errorf("only %d names are kept: the test shows nothing", m.learned)
	}
}
