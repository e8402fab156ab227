// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A batch of parts (OData 4.01, 11.7) is a multipart body whose parts are HTTP
// requests, or sets of them, which are multipart bodies within. What is judged is
// sent as it is, so only the plainest spelling is read: lines that end with CR LF,
// nothing in front of the parts and behind them, a boundary that stands nowhere
// else, headers on the list below, paths in their one form. Everything else is
// ErrUnreadable.

// partDepth is how deep requests may be: in the batch, and in a set of it.
const partDepth = 2

// wrapped is a request within a part.
type wrapped struct {
	method, target string
	header         map[string][]string
	body           []byte
}

var (
	mixed       = regexp.MustCompile(`^(?i:multipart/mixed); ?(?i:boundary)=(?:"([A-Za-z0-9'()+_,./:=?-]{1,70})"|([A-Za-z0-9'+_.-]{1,70}))$`)
	wrapping    = regexp.MustCompile(`^(?i:application/http)(?:; ?msgtype=request)?$`)
	requestLine = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) ([!-~]+) HTTP/1\.1$`)
	headerLine  = regexp.MustCompile("^([A-Za-z0-9-]{1,64}): ?([ -~]*)$")
	plainJSON   = regexp.MustCompile(`^(?i:application/json)(?:; ?[A-Za-z0-9.=-]+)*$`)
)

// partHeaders are the headers a part may have, and wrappedHeaders those of a request
// in it. None of them names a field, a person, or an address where results are sent.
var (
	partHeaders = map[string]*regexp.Regexp{
		"Content-Type": regexp.MustCompile(`.`), "Content-Length": regexp.MustCompile(`^[0-9]{1,9}$`),
		"Content-Transfer-Encoding": regexp.MustCompile(`^(?i:binary|7bit|8bit)$`), "Content-Id": regexp.MustCompile(`^<?[A-Za-z0-9._-]{1,64}>?$`),
	}
	wrappedHeaders = map[string]*regexp.Regexp{
		"Content-Type": plainJSON, "Content-Length": regexp.MustCompile(`^[0-9]{1,9}$`), "Content-Id": partHeaders["Content-Id"],
		"Accept": regexp.MustCompile(`.`), "Accept-Language": regexp.MustCompile(`.`), "Accept-Charset": regexp.MustCompile(`^(?i:utf-8)$`),
		"Odata-Version": regexp.MustCompile(`^[0-9.]+$`), "Odata-Maxversion": regexp.MustCompile(`^[0-9.]+$`),
		"Dataserviceversion": regexp.MustCompile(`^[0-9.]+$`), "Maxdataserviceversion": regexp.MustCompile(`^[0-9.]+$`),
		"Prefer": regexp.MustCompile(`^return=(representation|minimal)$`), "If-Match": regexp.MustCompile(`^\*$`),
	}
)

func unreadablePart(format string, args ...any) error {
	return fmt.Errorf("%w: a batch %s", ErrUnreadable, fmt.Sprintf(format, args...))
}

// parts reads every request of a batch of parts by itself.
func (mt *Match) parts(route *Route, r *Request) ([]Operation, error) {
	if len(r.Query) > 0 {
		for name := range r.Query {
			if !(&reading{m: mt.m}).credential(name) {
				return nil, unreadablePart("with a query")
			}
		}
	}
	kinds := r.Header["Content-Type"]
	if len(kinds) != 1 {
		return nil, unreadablePart("without a Content-Type, or with several")
	}
	var all []wrapped
	if err := readParts(&all, kinds[0], r.Body, 1, route.Batch.Max); err != nil {
		return nil, err
	}
	var out []Operation
	for i := range all {
		ops, err := mt.wrapped(r, &all[i])
		if err != nil {
			return nil, fmt.Errorf("reading request %d of the batch: %w", i, err)
		}
		for k := range ops {
			if ops[k].Kind != Data {
				return nil, unreadablePart("with a request that is no reading or writing of records")
			}
			ops[k].Item, ops[k].Batched, ops[k].Part, ops[k].from = i, true, true, nil
		}
		out = append(out, ops...)
	}
	return out, nil
}

// wrapped reads one request of the batch.
func (mt *Match) wrapped(r *Request, w *wrapped) ([]Operation, error) {
	path, query, _ := strings.Cut(w.target, "?")
	if !strings.HasPrefix(path, "/") {
		if strings.HasPrefix(path, "$") || strings.Contains(strings.SplitN(path, "/", 2)[0], ":") {
			return nil, unreadablePart("with a request for an absolute address, or by what another one makes")
		}
		path = r.Path[:strings.LastIndexByte(r.Path, '/')+1] + path
	}
	if canon, err := Canonical(path); err != nil || canon != path {
		return nil, unreadablePart("with a path that is not in its one form")
	}
	sub := &Request{Method: w.method, Host: r.Host, Path: path, Header: map[string][]string{}}
	maps.Copy(sub.Header, r.Header)
	maps.Copy(sub.Header, w.header)
	var err error
	if sub.Query, err = url.ParseQuery(query); err != nil || strings.Contains(query, "#") {
		return nil, unreadablePart("with a broken query")
	}
	for name := range sub.Query {
		if (&reading{m: mt.m}).credential(name) {
			return nil, unreadablePart("with credentials of the CRM in a request")
		}
	}
	inner, err := mt.m.Match(sub)
	if err != nil {
		return nil, err
	}
	if !inner.needs {
		if len(w.body) > 0 {
			return nil, unreadablePart("with a body that nobody reads")
		}
		return inner.operations(sub, nil, 1)
	}
	if inner.group.form || inner.entry != nil && inner.entry.route.Request.Body != JSONBody {
		return nil, unreadablePart("with a form in it, or a batch")
	}
	optional := inner.entry != nil && inner.entry.route.Request.Optional
	if len(w.body) > 0 && len(w.header["Content-Type"]) == 0 {
		return nil, unreadablePart("with a body that does not say what it is")
	}
	b, err := readBody(w.body, JSONBody, optional)
	if err != nil {
		return nil, err
	}
	return inner.operations(sub, b, 1)
}

// readParts appends the requests of a multipart body.
func readParts(all *[]wrapped, contentType string, body []byte, depth, most int) error {
	found := mixed.FindStringSubmatch(contentType)
	if found == nil {
		return unreadablePart("that does not call itself multipart/mixed with a boundary, and nothing else")
	}
	dash := []byte("--" + found[1] + found[2])
	pieces := bytes.Split(body, dash)
	last := len(pieces) - 1
	if last < 2 || len(pieces[0]) > 0 || string(pieces[last]) != "--" && string(pieces[last]) != "--\r\n" {
		return unreadablePart("without a first or a last delimiter, or with something around them")
	}
	for _, piece := range pieces[1:last] {
		piece, before := bytes.CutPrefix(piece, []byte("\r\n"))
		piece, behind := bytes.CutSuffix(piece, []byte("\r\n"))
		if !before || !behind {
			return unreadablePart("with a delimiter that is not a line by itself")
		}
		if err := readPart(all, piece, depth, most); err != nil {
			return err
		}
	}
	return nil
}

// readPart appends the request of a part, or those of a set.
func readPart(all *[]wrapped, part []byte, depth, most int) error {
	header, rest, err := readHeaders(part, partHeaders)
	if err != nil {
		return err
	}
	if len(header["Content-Type"]) == 0 {
		return unreadablePart("with a part that does not say what it is")
	}
	kind := header["Content-Type"][0]
	if mixed.MatchString(kind) {
		if depth == partDepth {
			return unreadablePart("with sets within sets")
		}
		return readParts(all, kind, rest, depth+1, most)
	}
	if !wrapping.MatchString(kind) {
		return unreadablePart("with a part that is no HTTP request")
	}
	if len(*all) == most {
		return unreadablePart("of more than %d requests", most)
	}
	line, rest, found := bytes.Cut(rest, []byte("\r\n"))
	names := requestLine.FindSubmatch(line)
	if !found || names == nil {
		return unreadablePart("with a request line nobody can read")
	}
	w := wrapped{method: string(names[1]), target: string(names[2])}
	if w.header, w.body, err = readHeaders(rest, wrappedHeaders); err != nil {
		return err
	}
	if string(w.body) == "\r\n" && len(w.header["Content-Length"]) == 0 {
		w.body = nil // many write an empty line more
	}
	*all = append(*all, w)
	return nil
}

// readHeaders reads a header up to its empty line. Each field stands there once, and
// a length is the one of what follows.
func readHeaders(text []byte, known map[string]*regexp.Regexp) (map[string][]string, []byte, error) {
	header := map[string][]string{}
	for {
		line, rest, found := bytes.Cut(text, []byte("\r\n"))
		if !found {
			return nil, nil, unreadablePart("with a header that has no empty line behind it")
		}
		text = rest
		if len(line) == 0 {
			break
		}
		field := headerLine.FindSubmatch(line)
		if field == nil {
			return nil, nil, unreadablePart("with a header nobody can read")
		}
		name, value := textproto.CanonicalMIMEHeaderKey(string(field[1])), strings.TrimRight(string(field[2]), " ")
		if form := known[name]; form == nil || !form.MatchString(value) {
			return nil, nil, unreadablePart("with a header, %.64s, or a value of it, that is not on the list", name)
		}
		if header[name] != nil {
			return nil, nil, unreadablePart("with a header that stands there twice")
		}
		header[name] = []string{value}
	}
	if v := header["Content-Length"]; v != nil && v[0] != strconv.Itoa(len(text)) {
		return nil, nil, unreadablePart("with another length than it says")
	}
	return header, text, nil
}
