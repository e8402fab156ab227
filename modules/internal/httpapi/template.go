// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/http/httpguts"

	"github.com/crmgate/crmgate/modules/internal/vault"
)

// template is what is sent, with the places of address and password.
type template struct {
	url    *url.URL
	query  parts
	body   parts
	escape func(string) string // for the body
}

// parts is text with placeholders in between. Values are put between the parts and
// are never looked at again: what looks like a placeholder in a password is none.
type parts []part

type part struct{ text, name string } // one of them

var placeholder = regexp.MustCompile(`\{[A-Za-z_$][A-Za-z0-9_.$:/-]*\}`)

// split cuts a template. A placeholder that is neither {email} nor {password} is an
// error.
func split(where, text string) (parts, error) {
	var out parts
	at := 0
	for _, m := range placeholder.FindAllStringIndex(text, -1) {
		name := text[m[0]+1 : m[1]-1]
		if name != "email" && name != "password" {
			return nil, fmt.Errorf("%s: {%s} is no placeholder; {email} and {password} are", where, name)
		}
		out = append(out, part{text: text[at:m[0]]}, part{name: name})
		at = m[1]
	}
	return append(out, part{text: text[at:]}), nil
}

// fill puts the values in, escaped.
func (p parts) fill(email, password string, escape func(string) string) string {
	var b strings.Builder
	for _, x := range p {
		switch x.name {
		case "email":
			b.WriteString(escape(email))
		case "password":
			b.WriteString(escape(password))
		default:
			b.WriteString(x.text)
		}
	}
	return b.String()
}

func (p parts) has(name string) bool {
	return slices.ContainsFunc(p, func(x part) bool { return x.name == name })
}

// String shows the template, never a value.
func (p parts) String() string {
	return p.fill("{email}", "{password}", func(s string) string { return s })
}

func escapeQuery(s string) string { return url.QueryEscape(s) }

// escapeJSON returns s as it stands between the quotes of a JSON string. The values
// are UTF-8: that was checked before.
func escapeJSON(s string) string {
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// probeValue is a value that comes through a template unharmed only where the
// escaping fits the place.
const probeValue = "a\"b\\c&d=e+f g\u00e9{email}<%25>"

func parseTemplate(c Config) (t template, err error) {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, c.Method) {
		return t, fmt.Errorf("method %q: use GET, POST or PUT", c.Method)
	}
	if t.url, t.query, err = parseURL(c.URL); err != nil {
		return t, err
	}
	if t.body, err = split("body", c.Body); err != nil {
		return t, err
	}
	if c.Method == http.MethodGet {
		if c.Body != "" {
			return t, errors.New("a GET has no body; put {email} and {password} into the query, or better use POST")
		}
		t.escape = escapeQuery
	} else if t.escape, err = checkBody(c.ContentType, t.body); err != nil {
		return t, err
	}
	for _, name := range []string{"email", "password"} {
		if !t.body.has(name) && !t.query.has(name) {
			return t, fmt.Errorf("nothing sends {%s}: the answer could not depend on it", name)
		}
	}
	return t, nil
}

// parseURL takes an https address, or http to a loopback address written as such.
func parseURL(raw string) (*url.URL, parts, error) {
	place, query, _ := strings.Cut(raw, "?")
	if strings.ContainsAny(place, "{}") {
		return nil, nil, errors.New("url: placeholders may stand in the query only")
	}
	u, err := url.Parse(place)
	if err != nil || u.Host == "" || u.Opaque != "" || u.Hostname() == "" {
		return nil, nil, errors.New("url: this is no address; write https://auth.example.com/check")
	}
	if u.User != nil {
		return nil, nil, errors.New("url: name and password do not belong there; set the header Authorization")
	}
	if strings.Contains(raw, "#") {
		return nil, nil, errors.New("url: a fragment is never sent")
	}
	switch addr, err := netip.ParseAddr(u.Hostname()); {
	case u.Scheme == "https":
	case u.Scheme == "http" && err == nil && addr.Unmap().IsLoopback():
	default:
		return nil, nil, errors.New("url: passwords go over https only; http is taken for 127.0.0.1 and [::1], written like that")
	}
	if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`|", r) }) {
		return nil, nil, errors.New("url: spaces and letters like é are written %20 and %C3%A9 in a query")
	}
	p, err := split("url", query)
	if err != nil {
		return nil, nil, err
	}
	if err := intact(p, escapeQuery, values); err != nil {
		return nil, nil, fmt.Errorf("url: the query %w", err)
	}
	return u, p, nil
}

// checkBody says how values are escaped in a body of this type.
func checkBody(contentType string, body parts) (func(string) string, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, fmt.Errorf("content type %q: use application/json or application/x-www-form-urlencoded, in UTF-8", contentType)
	}
	switch {
	case media == "application/x-www-form-urlencoded":
		if err := intact(body, escapeQuery, values); err != nil {
			return nil, fmt.Errorf("body: the form %w", err)
		}
		return escapeQuery, nil
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		if err := intact(body, escapeJSON, texts); err != nil {
			return nil, fmt.Errorf("body: the JSON %w; write \"{email}\" and \"{password}\" in quotes", err)
		}
		return escapeJSON, nil
	}
	return nil, fmt.Errorf("content type %q: use application/json or application/x-www-form-urlencoded", contentType)
}

// intact fills a template with awkward values and reads it back: they must come out
// as they went in, and nothing else may change.
func intact(p parts, escape func(string) string, read func(string) ([]string, error)) error {
	got, err := read(p.fill(probeValue, probeValue, escape))
	if err != nil {
		return errors.New("cannot be read back")
	}
	want := 0
	for _, x := range p {
		if x.name != "" {
			want++
		}
	}
	for _, v := range got {
		want -= strings.Count(v, probeValue)
	}
	if want != 0 {
		return errors.New("has a placeholder in a place where a value would not stay whole")
	}
	return nil
}

// values returns the values of a form or query.
func values(s string) ([]string, error) {
	v, err := url.ParseQuery(s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, list := range v {
		out = append(out, list...)
	}
	return out, nil
}

// texts returns the strings of a JSON document, strictly read, but no names.
func texts(s string) (out []string, err error) {
	var doc any
	if err := json.Unmarshal([]byte(s), &doc); err != nil {
		return nil, err
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	return out, nil
}

// ours are headers the gate sets itself, or that change what a request is.
var ours = []string{
	"Host", "Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade", "Expect",
	"Accept-Encoding", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Cache-Control",
}

func checkHeaders(headers map[string]vault.Secret) error {
	for name, value := range headers {
		v := string(value.Reveal())
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("header %q: this is no name of a header", name)
		case slices.Contains(ours, http.CanonicalHeaderKey(name)):
			return fmt.Errorf("header %s: the gate sets it itself", name)
		case v == "":
			return fmt.Errorf("header %s: it is empty; does what it refers to exist?", name)
		case !httpguts.ValidHeaderFieldValue(v):
			return fmt.Errorf("header %s: its value holds a character no header may hold", name)
		case strings.Contains(v, "{email}") || strings.Contains(v, "{password}"):
			return fmt.Errorf("header %s: {email} and {password} may stand in the query and the body only", name)
		}
	}
	return nil
}
