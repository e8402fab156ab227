// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "strconv"

// total is a count of records that was copied to the output before its records
// were all read.
type total struct {
	at, len int // in the output
	scope   int // index of its scope
	set     int
	quoted  bool
}

// A scope is a stretch of the body whose totals count the records within it: the
// whole body, each element of a declared array, each record. Scopes are open one
// within the other.

func (w *walker) openScope() {
	for range w.rowed {
		w.counts = append(w.counts, 0)
	}
}

// closeScope writes the totals of the innermost scope and adds its counts to
// the one around it. Of a scope that is not kept nothing is counted.
func (w *walker) closeScope(keep bool) {
	n := len(w.rowed)
	if n == 0 {
		return
	}
	last := len(w.counts) - n
	counts := w.counts[last:]
	w.counts = w.counts[:last]
	for len(w.totals) > 0 {
		t := w.totals[len(w.totals)-1]
		if t.scope != last {
			break
		}
		w.totals = w.totals[:len(w.totals)-1]
		if keep && !w.standing() {
			w.value = strconv.AppendInt(w.value[:0], int64(counts[t.set]), 10)
			w.settle(t, w.value)
		}
	}
	if keep && last > 0 {
		for i, c := range counts {
			w.counts[last-n+i] += c
		}
	}
}

// standing says whether the CRM's own totals are right as they are.
func (w *walker) standing() bool { return w.lim.Pushed && w.drops == 0 }

// settle writes a total where its first value was copied to.
func (w *walker) settle(t total, with []byte) {
	if t.quoted && with[0] != 'n' {
		with = strconv.AppendQuote(nil, string(with))
	}
	grow := len(with) - t.len
	tail := t.at + t.len
	if grow > 0 {
		w.out = append(w.out, with[:grow]...) // room; the bytes are moved over below
	}
	end := len(w.out)
	if grow > 0 {
		end -= grow
	}
	copy(w.out[t.at+len(with):], w.out[tail:end])
	copy(w.out[t.at:], with)
	w.out = w.out[:end+grow]
}

// count counts a record of a set that is kept.
func (w *walker) count(set int) { w.counts[len(w.counts)-len(w.rowed)+set]++ }

// capped reports whether as many records of a set were kept as the plan lets through.
func (w *walker) capped(set int) bool {
	if w.plan.MaxRows <= 0 {
		return false
	}
	n := 0
	for i := set; i < len(w.counts); i += len(w.rowed) {
		n += w.counts[i]
	}
	return n >= w.plan.MaxRows
}

// total walks a number that counts the records of a set, written as a number or
// as text. Where rows of the set are filtered it becomes the number kept; where
// the plan caps the records, at most the cap; else it is copied.
func (w *walker) total(v int, name string) (int, error) {
	c := w.in[v]
	if c != '"' && c != '-' && (c < '0' || c > '9') {
		return v, w.unlike(v, "a total was declared")
	}
	end, err := w.scalar(v)
	if err != nil {
		return v, err
	}
	number := w.in[v:end]
	if c == '"' {
		w.value = appendDecoded(w.value[:0], number)
		if number = w.value; digits(number, 0) != len(number) {
			return v, w.shape(v, "a total was declared")
		}
	}
	set := w.sets[name]
	if w.rowed[set] {
		w.put(v, end)
		w.totals = append(w.totals, total{len(w.out), end - v, len(w.counts) - len(w.rowed), set, c == '"'})
		w.out = append(w.out, w.in[v:end]...)
		return end, nil
	}
	if limit := w.plan.MaxRows; limit > 0 {
		if n, err := strconv.ParseFloat(string(number), 64); err != nil || n > float64(limit) {
			text := strconv.Itoa(limit)
			if c == '"' {
				text = strconv.Quote(text)
			}
			w.replace(v, end, []byte(text))
		}
	}
	return end, nil
}
