// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/crmgate"
)

// FuzzMethodFinder: where a reader of the standard library finds a parameter that names
// another method, the body does not get through; and it matters to nobody in which
// pieces it comes.
func FuzzMethodFinder(f *testing.F) {
	for _, body := range []string{
		"a=b&_method=DELETE", "%5Fmethod=PUT&x=1", "a=%zz&_method=x", "x_http-method=a;b",
		"--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n",
		"--b\r\nContent-Disposition: form-data; filename=\"a;name=b\"; name*=utf-8''%5Fmethod\r\n\r\nDELETE\r\n--b--\r\n",
		"--b\r\nContent-Disposition: form-data; name*0=\"_met\"; name*1=hod\r\n\r\nDELETE\r\n--b--\r\n",
		`{"a":[{"_meth\u006fd":"DELETE"}]}`, `{"a":"\\\"_method\":","_method":1}`, `{"_method\u0000x":1}`,
	} {
		for kind := range uint8(3) {
			f.Add(kind, body)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body string) {
		said := []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json"}[kind%3]
		whole := found(t, said, strings.NewReader(body))
		if pieces := found(t, said, iotest.OneByteReader(strings.NewReader(body))); pieces != whole {
			t.Fatalf("%s %q: found %v as a whole, %v byte by byte", said, body, whole, pieces)
		}
		if names := [](func(string) bool){inForm, inParts, inJSON}[kind%3]; names(body) && !whole {
			t.Fatalf("%s %q names another method and goes on", said, body)
		}
	})
}

func found(t *testing.T, said string, body io.Reader) bool {
	t.Helper()
	_, err := io.Copy(io.Discard, &methodFinder{ReadCloser: io.NopCloser(body), look: lookFor(said)})
	_, refused := errors.AsType[*crmgate.RefusedBody](err)
	if err != nil && !refused {
		t.Fatal(err)
	}
	return refused
}

// inForm is for values that are not empty: a name without one names no method.
func inForm(body string) bool {
	values, _ := url.ParseQuery(body)
	for name, v := range values {
		if isMethodName(name) && strings.Join(v, "") != "" {
			return true
		}
	}
	return false
}

func inParts(body string) bool {
	for r := multipart.NewReader(strings.NewReader(body), "b"); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return false
		}
		if isMethodName(part.FormName()) {
			return true
		}
	}
}

func inJSON(body string) bool {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return false
	}
	var within func(any) bool
	within = func(v any) bool {
		switch v := v.(type) {
		case []any:
			return slices.ContainsFunc(v, within)
		case map[string]any:
			for name, e := range v {
				if isMethodName(name) || within(e) {
					return true
				}
			}
		}
		return false
	}
	return within(v)
}
