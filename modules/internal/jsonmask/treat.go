// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// treated walks the value of a field.
func (w *walker) treated(v int, t *plan.Treatment, e env) (end int, keep bool, err error) {
	effect := max(t.Effect, e.floor)
	switch effect {
	case plan.Show, plan.Detect:
		if c := w.in[v]; effect == plan.Show && t.Text == nil && c != '{' && c != '[' {
			end, err = w.scalar(v)
			return end, true, err
		}
		end, err = w.shown(v, under(t, e))
	case plan.Mask:
		end, err = w.masked(v, t)
	default:
		if end, err = w.skip(v); err == nil {
			w.event(t, true)
			w.secret(v, end, t, true)
		}
		return end, false, err
	}
	return end, true, err
}

// under is what the value of a shown field has: a declared field in which
// personal data is looked for has it looked for at any depth.
func under(t *plan.Treatment, e env) env {
	e.treat, e.single = t, false
	if t.Effect == plan.Detect && t.Field != "" {
		e.floor = plan.Detect
	}
	return e
}

// shown walks a value that is shown, or searched by the detectors.
func (w *walker) shown(v int, e env) (int, error) {
	switch c := w.in[v]; c {
	case '{':
		if e.pairs != nil {
			return w.maybePair(v, e)
		}
		e.treat = nil
		return w.object(v, table{kind: fieldTable, ent: e.ent}, e)
	case '[':
		return w.array(v, e, (*walker).unnamed)
	case '"':
		switch {
		case e.treat.Text != nil:
			return w.embedded(v, e.treat, e)
		case max(e.treat.Effect, e.floor) == plan.Detect:
			return w.detect(v, e.treat)
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if max(e.treat.Effect, e.floor) == plan.Detect {
			return w.detectNumber(v, e.treat)
		}
	}
	return w.scalar(v)
}

// unnamed walks a value that has no name of its own: an element of an array. It
// is treated as the field it is in, or as an unknown field; where that would
// hide it, it becomes null.
func (w *walker) unnamed(v int, e env) (end int, keep bool, err error) {
	if e.treat == nil {
		e.treat = e.ent.Unknown
		if e.treat == nil {
			e.treat = closed.Unknown
		}
	}
	t := e.treat
	if t.Effect < plan.Mask || w.in[v] == '{' || w.in[v] == '[' {
		end, err = w.shown(v, e)
		return end, true, err
	}
	if t.Effect == plan.Mask {
		end, err = w.masked(v, t)
		return end, true, err
	}
	if end, err = w.scalar(v); err == nil && w.in[v] != 'n' {
		w.replace(v, end, nullJSON)
		w.event(t, true)
		w.secret(v, end, t, true)
	}
	return end, true, err
}

// masked replaces the value at v. null and "" stay: there is nothing to hide,
// and a person sees that there is something to fill in. Values that are neither
// text nor number become null.
func (w *walker) masked(v int, t *plan.Treatment) (int, error) {
	c := w.in[v]
	if c == '"' {
		end, escaped, err := w.str(v)
		if err != nil || end == v+2 {
			return end, err
		}
		text := w.in[v+1 : end-1]
		if escaped {
			w.value = appendDecoded(w.value[:0], w.in[v:end])
			text = w.value
		}
		w.maskText(v, end, text, t)
		w.secret(v, end, t, false)
		return end, nil
	}
	end, err := w.skip(v)
	if err != nil || c == 'n' {
		return end, err
	}
	w.event(t, false)
	w.secret(v, end, t, false)
	if c == '-' || '0' <= c && c <= '9' {
		w.put(v, end)
		w.out = t.Mask.AppendNumber(w.out, w.in[v:end])
	} else {
		w.replace(v, end, nullJSON)
	}
	return end, nil
}

// maskText replaces the string v to end, which reads text, by its mask.
func (w *walker) maskText(v, end int, text []byte, t *plan.Treatment) {
	w.event(t, false)
	if t.Mask.Null() {
		w.replace(v, end, nullJSON)
		return
	}
	w.put(v, end)
	start := len(w.out)
	w.out = t.Mask.AppendBytes(append(w.out, '"'), text)
	if plainEnd(w.out, start+1) == len(w.out) {
		w.out = append(w.out, '"')
		return
	}
	w.found = append(w.found[:0], w.out[start+1:]...)
	w.out = appendQuoted(w.out[:start], w.found)
}

// masksFully replaces the text v to end by the fixed mask.
func (w *walker) masksFully(v, end int, t *plan.Treatment) {
	w.put(v, end)
	w.out = appendQuoted(w.out, []byte(mask.FullText))
	w.event(t, false)
}

// detect masks what looks like personal data within the string at v, and what is
// masked or hidden elsewhere when that is there. The string is written anew only when
// something was found.
func (w *walker) detect(v int, t *plan.Treatment) (int, error) {
	end, escaped, err := w.str(v)
	if err != nil {
		return end, err
	}
	text := w.in[v+1 : end-1]
	if escaped {
		w.value = appendDecoded(w.value[:0], w.in[v:end])
		text = w.value
	}
	var n int
	if w.armed {
		w.found, n = w.known.Search(w.found[:0], text)
	} else {
		if k := kindOf(text); k != unsure {
			if !escaped {
				w.note(v+1, end-1, k)
			} else if w.echoing { // it reads otherwise than it stands there, and in no third way
				w.views = append(append(w.views, 0), text...)
			}
			return end, nil
		}
		if w.echoing {
			w.hear(text)
		}
		w.found, n = mask.Detect(w.found[:0], text)
	}
	if n > 0 {
		w.put(v, end)
		w.out = appendQuoted(w.out, w.found)
		w.event(t, false)
	}
	return end, nil
}

// detectNumber masks the number at v when its digits are what the detectors would find
// as text, from ten of them on, or when it is masked or hidden elsewhere.
func (w *walker) detectNumber(v int, t *plan.Treatment) (int, error) {
	end, err := w.number(v)
	if err != nil {
		return end, err
	}
	raw := w.in[v:end]
	if w.armed {
		out, ok := w.known.AppendNumber(w.value[:0], raw)
		if w.value = out; ok {
			w.replace(v, end, out)
			w.event(t, false)
			return end, nil
		}
	}
	w.note(v, end, bland)
	digits, whole := mask.AppendWhole(w.value[:0], raw)
	w.value = digits
	if whole && w.echoing && !w.armed && len(digits) >= echo.Shortest {
		w.views = append(append(w.views, 0), digits...)
	} else if !whole && w.echoing && !w.armed {
		if alike, ok := mask.AppendDecimal(digits, raw); ok {
			w.value = alike
			w.views = append(append(w.views, 0), alike...)
		}
	}
	if whole && mask.IsPersonal(digits) {
		w.replace(v, end, nullJSON)
		w.event(t, false)
	}
	return end, nil
}
