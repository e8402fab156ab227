// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/crmgate"
)

// TestMethodFinder: a body that names another method fails before it ends, whatever it
// is split into; every other one goes on byte for byte.
func TestMethodFinder(t *testing.T) {
	const form, parts, doc = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json; charset=utf-8"
	pad := strings.Repeat("a=b&", 20000)
	for _, c := range []struct {
		kind, body string
		found      bool
	}{
		{form, "", false},
		{form, "a=_method&b=x-http-method&method=DELETE&_methods=1", false},
		{form, `{"JSON":"of who leaves the type to a tool = _method"}`, false},
		{form, strings.Repeat("x", 1000) + "_method=DELETE", false},
		{form, "_method=DELETE", true},
		{form, "_METHOD=", true},
		{form, pad + "%5fmet%68od=DELETE&a=b", true},
		{form, pad + strings.Repeat("+", 1000) + "%20%20_method=DELETE", true},
		{form, "a=b;_method=DELETE", true},
		{form, "a&.method=DELETE", true},
		{form, "a=b&%5Bmethod=DELETE", true},
		{form, "a=b&_method%00=DELETE", true},
		{form, "_method%00" + strings.Repeat("x", 1000) + "=DELETE", true},
		{form, "_method%00%zz=DELETE", true},
		{form, "X-HTTP-Method-Override=PUT", true},
		{"", "_method=DELETE", true},
		{"nonsense", "_method=DELETE", true},
		{"Application/X-WWW-Form-Urlencoded ;x", "_method=DELETE", true},
		{"text/plain", "_method=DELETE", false},
		{"audio/mp4", `name="_method"`, false},
		{parts, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"payment_method.txt\"\r\n\r\nthe _method of name = value\r\n--b--\r\n", false},
		{parts, "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; name=_method\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\ncontent-disposition:form-data;NAME =\r\n \" _Method\"\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; nname='_method'; x\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; name=\"\\_m\\ethod\"\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; name*=utf-8''%5Fmethod\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; name=\"_method\x00" + strings.Repeat("x", 1000) + "\"\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; name*0=\"_met\"; name*1=hod\r\n\r\nDELETE\r\n--b--\r\n", true},
		{parts, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nname*2, name* 0.5 = name 1=2\r\n--b--\r\n", false},
		{"multipart/mixed", pad + "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n", true},
		{doc, `{"a":"_method","b":["_method"],"method":"DELETE","\"_method":1,"_method\\":1}`, false},
		{doc, `{"a":{"_method" : "DELETE"}}`, true},
		{doc, `{"\\":"\"","\u005fmeth\u006Fd":"DELETE"}`, true},
		{"application/vnd.api+json", `{"_METHOD":"DELETE"}`, true},
	} {
		for _, slow := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			look := lookFor(c.kind)
			if look == nil {
				if c.found {
					t.Errorf("%s is not looked at", c.kind)
				}
				continue
			}
			got, err := io.ReadAll(&methodFinder{ReadCloser: io.NopCloser(slow(strings.NewReader(c.body))), look: look})
			if _, refused := errors.AsType[*crmgate.RefusedBody](err); refused != c.found {
				t.Errorf("%q of %.80q: %v, want found %v", c.kind, c.body, err, c.found)
			}
			if !c.found && string(got) != c.body || c.found && len(got) >= len(c.body) {
				t.Errorf("%q of %.80q: %d of %d bytes go on", c.kind, c.body, len(got), len(c.body))
			}
		}
	}
}
