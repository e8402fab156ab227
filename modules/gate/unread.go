// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// bodyMethod sees to it that no body of somebody restricted names another method. What
// was read is known by its fields; what is not read is looked through on its way, in the
// forms in which frameworks find parameters. Whoever is not restricted may do whatever
// method it is.
func (x *exchange) bodyMethod() step {
	writes := false
	for i := range x.d.Operations {
		for k := range x.d.Operations[i].Fields {
			f := &x.d.Operations[i].Fields[k]
			writes = writes || f.Use == resource.Write && isMethodName(f.Name)
		}
	}
	unread := x.route != nil && !x.route.NeedsBody() && x.r.Body != nil && x.r.Body != http.NoBody
	if !writes && !unread || !x.snap.Policy.Restricted(x.d.Principal) {
		return proceed
	}
	if writes {
		return x.refuse(policy.ActionDenied, namesMethod)
	}
	said := x.r.Header["Content-Type"]
	if len(said) > 1 {
		return x.refuse(policy.Unreadable, "a body of two types")
	}
	look := lookFor(strings.Join(said, ""))
	if look == nil {
		return proceed
	}
	if enc := x.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return x.refuse(policy.Unreadable, "a body in a content coding")
	}
	x.r.Body = &methodFinder{ReadCloser: x.r.Body, look: look}
	return proceed
}

const namesMethod = "a parameter in the body that names another method"

// isMethodName says whether a parameter is one by which a framework is told another
// method. Some cut names at a NUL, and take dots, blanks and brackets for underscores.
func isMethodName(name string) bool {
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.ToLower(strings.TrimLeft(name, " "))
	for _, m := range methodNames {
		if len(m) == len(name) && m == separators.Replace(name) {
			return true
		}
	}
	return false
}

var separators = strings.NewReplacer(".", "_", " ", "_", "[", "_", "-", "_")

// lookFor returns what looks for names in a body of that type; nil where no framework
// finds parameters. Without a type some take it for a form.
func lookFor(contentType string) func(*methodFinder, byte) bool {
	t := strings.ToLower(strings.TrimSpace(contentType))
	if i := strings.IndexAny(t, ";, \t"); i >= 0 {
		t = t[:i]
	}
	switch {
	case t == "", isFormType(t), !strings.Contains(t, "/"):
		return (*methodFinder).form
	case strings.HasPrefix(t, "multipart/"):
		return (*methodFinder).multipart
	case isJSONType(t):
		return (*methodFinder).json
	}
	return nil
}

// methodFinder hands a body on until a name in it is one of another method. Then it
// fails, so that the CRM never has the whole request. It needs no more memory however
// long the body is.
type methodFinder struct {
	io.ReadCloser

	look  func(*methodFinder, byte) bool
	state int
	name  [256]byte // as it stands there; none that matters is as long, up to a NUL
	n     int
	found bool
}

// Read reads what holds no such name.
func (f *methodFinder) Read(p []byte) (int, error) {
	if f.found {
		return 0, &crmgate.RefusedBody{Reason: policy.ActionDenied, Detail: namesMethod}
	}
	n, err := f.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if f.look(f, c) {
			f.found = true
			clear(p[:n])
			return 0, &crmgate.RefusedBody{Reason: policy.ActionDenied, Detail: namesMethod}
		}
	}
	return n, err //nolint:wrapcheck // a body's error, for who copies
}

func (f *methodFinder) keep(c byte) {
	if f.n < len(f.name) {
		f.name[f.n] = c
	}
	f.n++
}

// take returns what was kept: of a name that is too long its beginning, for whoever ends
// names at a NUL.
func (f *methodFinder) take() string {
	n := min(f.n, len(f.name))
	f.n = 0
	return string(f.name[:n])
}

// form looks at names of a form, which begin it or stand behind a separator.
func (f *methodFinder) form(c byte) bool {
	const inName, inValue = 0, 1
	switch {
	case c == '&' || c == ';':
		f.state, f.n = inName, 0
	case f.state == inValue:
	case c == '=':
		f.state = inValue
		return namedMethod(f.take())
	case f.n == 0 && (c == '+' || c == ' ' || c == '\r' || c == '\n'):
	default:
		f.keep(c)
		if f.n == 3 && string(f.name[:3]) == "%20" {
			f.n = 0
		}
	}
	return false
}

// multipart looks at what is called name, wherever: what a part is, servers do not agree.
// One that is written in pieces (name*0, RFC 2231 section 3) is no browser's, and taken
// for a method.
func (f *methodFinder) multipart(c byte) bool {
	const word, whole, before, within, starred, numbered = "name", 4, 5, 6, 7, 8
	digit := '0' <= c && c <= '9'
	switch {
	case f.state < whole:
		f.state = follow(word, f.state, c)
	case f.state == numbered && c == '=':
		return true
	case f.state == numbered && (blank(c) || c == '*' || digit):
	case f.state == starred && digit:
		f.state = numbered
	case (f.state == whole || f.state == starred) && c == '=':
		f.state = before
	case (f.state == whole || f.state == starred) && c == '*':
		f.state = starred
	case (f.state == whole || f.state == starred) && blank(c):
	case f.state == whole || f.state == starred || f.state == numbered:
		f.state = follow(word, 0, c)
	case f.state == before && (blank(c) || c == '"' || c == '\''):
	case c == '"' || c == ';' || c == '\r' || c == '\n':
		f.state = 0
		for part := range strings.SplitSeq(f.take(), "'") { // name*=UTF-8''text
			if namedMethod(part) {
				return true
			}
		}
	default:
		f.state = within
		if c != '\\' {
			f.keep(c)
		}
	}
	return false
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\\' }

// follow returns how much of a word stands behind one more byte.
func follow(word string, had int, c byte) int {
	switch c |= 0x20; c {
	case word[had]:
		return had + 1
	case word[0]:
		return 1
	}
	return 0
}

// json looks at texts with a colon behind them.
func (f *methodFinder) json(c byte) bool {
	const between, within, escaped, behind = 0, 1, 2, 3
	switch f.state {
	case within:
		if c == '"' {
			f.state = behind
			return false
		}
		if c == '\\' {
			f.state = escaped
		}
		f.keep(c)
	case escaped:
		f.state = within
		f.keep(c)
	default:
		switch {
		case c == '"':
			f.state, f.n = within, 0
		case c == ':' && f.state == behind:
			f.state = between
			var name string
			return json.Unmarshal([]byte(`"`+f.take()+`"`), &name) == nil && isMethodName(name)
		case !blank(c):
			f.state = between
		}
	}
	return false
}

// namedMethod is isMethodName for a name that may be escaped. What stands behind a NUL may
// be no escape at all.
func namedMethod(name string) bool {
	name, _, _ = strings.Cut(name, "%00")
	if plain, err := url.QueryUnescape(name); err == nil && isMethodName(plain) {
		return true
	}
	return isMethodName(name)
}
