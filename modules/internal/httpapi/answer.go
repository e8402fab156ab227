// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/modules/internal/directory"
)

// rule says which answers mean what.
type rule struct {
	success, wrong []int
	pointer        []string // nil: none
	equals         any
	equalsText     string
	email          []string // nil: none
	pointerText    string
	emailText      string
}

func parseRule(c Config) (r rule, err error) {
	r.success, r.wrong = c.Success, c.Wrong
	if len(r.success) == 0 {
		r.success = []int{200}
	}
	if len(r.wrong) == 0 {
		r.wrong = []int{400, 401, 403, 404, 422}
		r.wrong = slices.DeleteFunc(r.wrong, func(n int) bool { return slices.Contains(r.success, n) })
	}
	for _, n := range r.success {
		if n < 200 || n > 299 {
			return r, fmt.Errorf("success %d: a status from 200 to 299 can mean that a password is right", n)
		}
	}
	for _, n := range r.wrong {
		if n < 200 || n > 499 || n >= 300 && n < 400 || n == 407 || n == 408 || n == 429 {
			return r, fmt.Errorf("wrong %d: this status says nothing about a password", n)
		}
		if slices.Contains(r.success, n) {
			return r, fmt.Errorf("status %d means right and wrong", n)
		}
	}
	if (c.Pointer == "") != (c.Equals == "") {
		return r, fmt.Errorf("a pointer into the answer and the value it must have belong together")
	}
	if c.Pointer != "" {
		if r.pointer, err = parsePointer(c.Pointer); err != nil {
			return r, err
		}
		if err := json.Unmarshal([]byte(c.Equals), &r.equals); err != nil {
			return r, fmt.Errorf("success value %s: this is no JSON; a text stands in quotes", c.Equals)
		}
		switch r.equals.(type) {
		case string, float64, bool:
		default:
			return r, fmt.Errorf("success value %s: use a text, a number, true or false", c.Equals)
		}
		r.pointerText, r.equalsText = c.Pointer, c.Equals
	}
	if c.Email != "" {
		if r.email, err = parsePointer(c.Email); err != nil {
			return r, err
		}
		r.emailText = c.Email
	}
	return r, nil
}

// judge decides by status, value and address, in this order.
func (r rule) judge(report *Report, body []byte, asked string) {
	switch {
	case slices.Contains(r.wrong, report.Status):
		report.decide(Wrong, fmt.Sprintf("status %d means wrong", report.Status))
		return
	case !slices.Contains(r.success, report.Status):
		report.unavailable(fmt.Sprintf("status %d means neither right nor wrong", report.Status))
		return
	case r.pointer == nil && r.email == nil:
		report.decide(Right, fmt.Sprintf("status %d means right", report.Status))
		return
	}
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		report.unavailable("the answer is no strict JSON: one value, no name twice, UTF-8")
		return
	}
	if r.pointer != nil {
		got, found := find(doc, r.pointer)
		if !found {
			report.decide(Wrong, fmt.Sprintf("there is nothing at %s", r.pointerText))
			return
		}
		if !reflect.DeepEqual(got, r.equals) {
			report.decide(Wrong, fmt.Sprintf("the value at %s is not %s", r.pointerText, r.equalsText))
			return
		}
	}
	if r.email != nil {
		got, _ := find(doc, r.email)
		text, _ := got.(string)
		if email, err := directory.ParseEmail(text); err != nil || email != asked {
			report.Mismatch = err == nil
			report.decide(Wrong, fmt.Sprintf("the address at %s is not the one that was asked for", r.emailText))
			return
		}
	}
	report.decide(Right, "status, value and address mean right")
}

// parsePointer reads a JSON pointer (RFC 6901).
func parsePointer(s string) ([]string, error) {
	if !strings.HasPrefix(s, "/") {
		return nil, fmt.Errorf("pointer %q: it begins with a slash, as in /user/email (RFC 6901)", s)
	}
	tokens := strings.Split(s[1:], "/")
	for i, t := range tokens {
		if rest := strings.NewReplacer("~0", "", "~1", "").Replace(t); strings.Contains(rest, "~") {
			return nil, fmt.Errorf("pointer %q: a ~ is written ~0, a slash in a name ~1 (RFC 6901)", s)
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// find follows a pointer.
func find(doc any, pointer []string) (any, bool) {
	for _, token := range pointer {
		switch v := doc.(type) {
		case map[string]any:
			next, ok := v[token]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			i, err := strconv.ParseUint(token, 10, 31)
			if err != nil || int(i) >= len(v) || len(token) > 1 && token[0] == '0' {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}
