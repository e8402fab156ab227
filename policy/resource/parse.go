// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

// Defaults of a map that does not say.
const (
	defaultMaxBody  = 1 << 20
	defaultMaxItems = 10000
	defaultBatch    = 50
	maxMapBytes     = 4 << 20
)

// Parse reads a map. It is strict: a key, entity, field, style, kind, feature or
// route it does not know, a duplicate, a pointer that is none, routes no rule
// puts in order, and a file without routes are errors. Every problem is one
// line, "file:line:col: what; how to mend", and all of them are joined; a map
// with a problem is not returned.
func Parse(file string, data []byte) (*Map, error) {
	d := &decoder{file: file, requests: map[string]*yaml.Node{}, responses: map[string]*Response{}}
	sum := sha256.Sum256(data)
	d.m = &Map{
		Digest: hex.EncodeToString(sum[:]), File: file,
		MaxBody: defaultMaxBody, MaxItems: defaultMaxItems,
		Entities: map[string]*Entity{}, routes: map[string]*Route{}, named: map[string]*Entity{},
	}
	root := d.document(data)
	if root == nil {
		return nil, d.err()
	}
	d.top(root)
	for _, check := range d.later {
		check()
	}
	if len(d.problems) == 0 {
		d.compile()
	}
	if len(d.problems) > 0 {
		return nil, d.err()
	}
	return d.m, nil
}

// yamlLine finds the line in a message of the YAML library.
var yamlLine = regexp.MustCompile(`line (\d+): `)

// document reads the one YAML document of a file.
func (d *decoder) document(data []byte) *yaml.Node {
	at := func(line int, mend, what string, args ...any) *yaml.Node {
		d.failAt(line, 1, mend, what, args...)
		return nil
	}
	if len(data) > maxMapBytes {
		return at(1, "split the map", "the file is larger than 4 MiB")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := decodeNode(dec, &doc); err != nil {
		if errors.Is(err, io.EOF) {
			return at(1, "begin with \"version: 1\"", "the file is empty")
		}
		line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(what); m != nil {
			line, _ = strconv.Atoi(m[1])
			what = strings.Replace(what, m[0], "", 1)
		}
		return at(line, shape.MendYAML(data, line), "the file is not YAML (%s)", shorten(what))
	}
	if err := decodeNode(dec, &more); !errors.Is(err, io.EOF) {
		return at(max(more.Line, 1), "keep one document in a file", "the file holds more than one document")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return at(1, "begin with \"version: 1\"", "the file is empty")
	}
	if n := findAlias(&doc, 0); n != nil {
		d.fail(n, "name the shape under requests: or responses: and use its name", "anchors, aliases and deep nesting are not read")
		return nil
	}
	return doc.Content[0]
}

// decodeNode reads one document; the library reports some broken input by
// panicking, which is an error like any other here.
func decodeNode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("yaml: the text cannot be read")
		}
	}()
	return dec.Decode(n)
}

// findAlias returns the first anchor, alias or merge, or a node nested too deep.
func findAlias(n *yaml.Node, depth int) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge" || depth > 64 {
		return n
	}
	for _, c := range n.Content {
		if bad := findAlias(c, depth+1); bad != nil {
			return bad
		}
	}
	return nil
}

func (d *decoder) top(root *yaml.Node) {
	m := d.m
	version := ""
	var requests, responses, routes *yaml.Node
	ok := d.object(root, "the map", keys{
		"version":     setWord(d, &version, "version", "1"),
		"map":         d.setName(&m.Name, "map"),
		"paths":       d.paths,
		"limits":      d.limits,
		"names":       func(n *yaml.Node) { d.object(n, "names", keys{"path": d.setName(&m.NamePath, "path")}) },
		"features":    d.setTexts(&m.Features, "features"),
		"credentials": d.credentials,
		"session":     d.session,
		"errors":      func(n *yaml.Node) { m.Errors = d.errorShape(n) },
		"wrappers":    d.wrappers,
		"refuse":      d.refusals,
		"entities":    func(n *yaml.Node) { d.table(n, "entities", d.entity) },
		"requests":    func(n *yaml.Node) { requests = n },
		"responses":   func(n *yaml.Node) { responses = n },
		"routes":      func(n *yaml.Node) { routes = n },
	})
	if !ok {
		return
	}
	// Shapes before routes, whatever their order in the file.
	if requests != nil {
		d.table(requests, "requests", func(k, v *yaml.Node) { d.requests[k.Value] = v; d.requestShape(v) })
	}
	if responses != nil {
		d.table(responses, "responses", func(k, v *yaml.Node) {
			r := d.response(v)
			r.Name = k.Value
			d.responses[k.Value] = r
		})
	}
	switch {
	case version == "":
		d.fail(root, "write \"version: 1\"", "the map has no version")
	case m.Name == "":
		d.fail(root, "write \"map: name\"", "the map has no name")
	case routes == nil:
		d.fail(root, "list what the CRM can be asked under routes:", "the map has no routes")
	case routes.Kind != yaml.SequenceNode || len(routes.Content) == 0:
		d.fail(routes, "list at least one route", "routes must be a list")
	default:
		for _, n := range routes.Content {
			d.route(n)
		}
	}
}

func (d *decoder) paths(n *yaml.Node) {
	d.object(n, "paths", keys{"case_insensitive": d.setFlag(&d.m.CaseInsensitivePaths, "case_insensitive")})
}

func (d *decoder) limits(n *yaml.Node) {
	d.object(n, "limits", keys{
		"body":  d.setSize(&d.m.MaxBody, "body"),
		"items": d.setNumber(&d.m.MaxItems, "items", 1, 1000000),
	})
}

func (d *decoder) credentials(n *yaml.Node) {
	d.object(n, "credentials", keys{
		"query":   d.setTexts(&d.m.Credentials.Query, "query"),
		"headers": d.setTexts(&d.m.Credentials.Headers, "headers"),
	})
}

func (d *decoder) session(n *yaml.Node) {
	s := &SessionShape{}
	form := ""
	if !d.object(n, "session", keys{
		"header":   d.setName(&s.Header, "header"),
		"cookie":   d.setName(&s.Cookie, "cookie"),
		"query":    d.setName(&s.Query, "query"),
		"scheme":   d.setName(&s.Scheme, "scheme"),
		"base64":   d.setFlag(&s.Base64, "base64"),
		"form":     d.setName(&form, "form"),
		"secret":   d.setName(&s.Secret, "secret"),
		"sign_out": func(n *yaml.Node) { s.SignOut = d.sessionEnd(n) },
	}) {
		return
	}
	t, err := parseTemplate(form)
	if err != nil {
		d.fail(n, "write captures like {key}", "form: %v", err)
	}
	s.Form = t
	if count(s.Header != "", s.Cookie != "", s.Query != "") != 1 {
		d.fail(n, "give one of header, cookie, query", "session needs one place")
	}
	if !contains(t.Names, s.Secret) {
		d.fail(n, "name the capture of form that identifies the session", "secret %q is no capture of form", s.Secret)
	}
	d.m.Session = s
}

// sessionEnd reads the request that ends a session of the CRM's own.
func (d *decoder) sessionEnd(n *yaml.Node) *SessionEnd {
	e := &SessionEnd{Method: "POST"}
	d.object(n, "sign_out", keys{
		"method": d.setName(&e.Method, "method"),
		"path":   d.setName(&e.Path, "path"),
		"body":   d.setText(&e.Body, "body"),
		"type":   d.setName(&e.ContentType, "type"),
	})
	if e.Path != "" && !strings.HasPrefix(e.Path, "/") {
		d.fail(n, "begin it with /", "path %q", e.Path)
	}
	if !contains([]string{"POST", "GET", "DELETE", "PUT"}, e.Method) {
		d.fail(n, "write POST, GET, DELETE or PUT", "method %q", e.Method)
	}
	if e.Body != "" && e.ContentType == "" {
		e.ContentType = "application/json"
	}
	return e
}

func (d *decoder) errorShape(n *yaml.Node) *ErrorShape {
	s := &ErrorShape{ContentType: "application/json"}
	d.object(n, "errors", keys{
		"statuses": func(n *yaml.Node) {
			d.list(n, func(item *yaml.Node) {
				v := 0
				d.setNumber(&v, "status", 100, 599)(item)
				s.Statuses = append(s.Statuses, v)
			})
		},
		"at":           d.setPointer(&s.At, "at"),
		"is":           d.setText(&s.Is, "is"),
		"type":         d.setPointer(&s.TypeAt, "type"),
		"message":      d.setPointer(&s.MessageAt, "message"),
		"content_type": d.setName(&s.ContentType, "content_type"),
		"body":         d.setName(&s.Body, "body"),
		"words":        d.setTexts(&s.Words, "words"),
		"types": func(n *yaml.Node) {
			s.Types = map[string]string{}
			d.table(n, "types", func(k, v *yaml.Node) {
				if t, ok := d.text(v, "type"); ok {
					s.Types[k.Value] = t
				}
			})
		},
	})
	return s
}

func (d *decoder) wrappers(n *yaml.Node) {
	d.list(n, func(item *yaml.Node) {
		var w Wrapper
		d.object(item, "wrapper", keys{
			"at":    d.setName(&w.At, "at"),
			"is":    d.setName(&w.Is, "is"),
			"value": d.setTexts(&w.Value, "value"),
		})
		if w.At == "" || len(w.Value) == 0 {
			d.fail(item, "give at and value", "a wrapper needs the member that marks it and the member that holds the value")
		}
		d.m.Wrappers = append(d.m.Wrappers, w)
	})
}

func (d *decoder) refusals(n *yaml.Node) {
	d.list(n, func(item *yaml.Node) {
		r := Refusal{}
		c, why := d.condition(item, keys{"why": d.setName(&r.Why, "why")})
		r.When = c
		if why && c.Source.InBody {
			d.fail(item, "use query, header or form", "refuse cannot look into bodies")
		}
		d.m.Refuse = append(d.m.Refuse, r)
	})
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}
