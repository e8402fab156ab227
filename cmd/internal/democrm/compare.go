// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"strconv"
	"strings"
	"time"
)

// timeLayout is how every time is kept and answered: UTC, to the millisecond.
const timeLayout = "2006-01-02 15:04:05.000"

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

var timeForms = []string{
	timeLayout, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	time.RFC3339Nano, "2006-01-02T15:04:05.000", "2006-01-02T15:04:05",
}

// parseTime reads the forms clients send; UTC unless the text says otherwise.
func parseTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// comparable brings a value into the form its column is compared in.
func comparableForm(k kind, s string) string {
	if k == date {
		if t, ok := parseTime(s); ok {
			return formatTime(t)
		}
	}
	return s
}

// compare orders two values of a column; text without regard to case.
func compare(k kind, a, b string) int {
	if k == number {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX == nil && errY == nil {
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}
	}
	return compareFold(a, b)
}

func compareFold(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := lower(a[i]), lower(b[i])
		if x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// test is one comparison, ready to be asked of many values. Nil cells match
// only "is empty" and the negations.
type test func(cell *string) bool

// operators by their spelled-out and their symbol names.
var operatorNames = map[string]string{
	"=": "eq", "==": "eq", "eq": "eq", "<>": "ne", "!=": "ne", "ne": "ne", "neq": "ne",
	">": "gt", "gt": "gt", ">=": "ge", "ge": "ge", "gte": "ge", "gteq": "ge",
	"<": "lt", "lt": "lt", "<=": "le", "le": "le", "lte": "le", "lteq": "le",
	"like": "like", "contains": "like", "notcontains": "notlike", "notlike": "notlike",
	"startswith": "starts", "endswith": "ends", "in": "in", "notin": "notin",
	"between": "between", "isempty": "empty", "empty": "empty", "isnotempty": "notempty", "notempty": "notempty",
}

// newTest makes the test `column operator value`. An unknown operator is an
// error, never a test that always holds.
func newTest(k kind, operator, value string) (test, error) {
	op, ok := operatorNames[strings.ToLower(strings.TrimSpace(operator))]
	if !ok {
		return nil, fail("InvalidInput", "unknown operator %q; use one of = LIKE > < <= >= <> IN", operator)
	}
	switch op {
	case "empty":
		return func(p *string) bool { return p == nil || *p == "" }, nil
	case "notempty":
		return func(p *string) bool { return p != nil && *p != "" }, nil
	case "in", "notin":
		return listTest(k, value, op == "notin"), nil
	case "between":
		return betweenTest(k, value)
	case "like", "notlike":
		match := likePattern(value)
		return func(p *string) bool { return (p != nil && match(*p)) != (op == "notlike") }, nil
	case "starts", "ends":
		want := strings.ToLower(value)
		has := strings.HasPrefix
		if op == "ends" {
			has = strings.HasSuffix
		}
		return func(p *string) bool { return p != nil && has(strings.ToLower(*p), want) }, nil
	}
	return orderTest(k, op, value), nil
}

func orderTest(k kind, op, value string) test {
	want := comparableForm(k, value)
	return func(p *string) bool {
		if p == nil {
			return op == "ne"
		}
		n := compare(k, *p, want)
		switch op {
		case "eq":
			return n == 0
		case "ne":
			return n != 0
		}
		if *p == "" {
			return false
		}
		switch op {
		case "gt":
			return n > 0
		case "ge":
			return n >= 0
		case "lt":
			return n < 0
		}
		return n <= 0
	}
}

func listTest(k kind, value string, negate bool) test {
	var list []string
	for part := range strings.SplitSeq(value, ",") {
		list = append(list, comparableForm(k, strings.Trim(strings.TrimSpace(part), "'\"")))
	}
	return func(p *string) bool {
		found := false
		for _, want := range list {
			found = found || p != nil && compare(k, *p, want) == 0
		}
		return found != negate
	}
}

func betweenTest(k kind, value string) (test, error) {
	low, high, ok := strings.Cut(value, ",")
	if !ok {
		return nil, fail("InvalidInput", "between takes two values with a comma, as in 10,20")
	}
	low, high = comparableForm(k, strings.TrimSpace(low)), comparableForm(k, strings.TrimSpace(high))
	return func(p *string) bool {
		return p != nil && *p != "" && compare(k, *p, low) >= 0 && compare(k, *p, high) <= 0
	}, nil
}

// likePattern matches with % as "anything"; a pattern without % is looked for
// anywhere in the value.
func likePattern(pattern string) func(string) bool {
	pattern = strings.ToLower(pattern)
	parts := strings.Split(pattern, "%")
	if len(parts) == 1 {
		return func(s string) bool { return strings.Contains(strings.ToLower(s), pattern) }
	}
	first, last, middle := parts[0], parts[len(parts)-1], parts[1:len(parts)-1]
	return func(s string) bool {
		s = strings.ToLower(s)
		if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
			return false
		}
		s = s[len(first) : len(s)-len(last)]
		for _, part := range middle {
			i := strings.Index(s, part)
			if i < 0 {
				return false
			}
			s = s[i+len(part):]
		}
		return true
	}
}
