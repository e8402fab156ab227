// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package socketmask

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// The oracle reads all of one side's bytes at once, by RFC 6455, 5.2, and says
// what the other side must get.

var errOracle = errors.New("the oracle ends the connection")

// said1 is a frame the oracle has read, with its bytes.
type said1 struct {
	fin, masked bool
	op          int
	text, raw   []byte
}

// read takes the first frame; rest is nil when it is not all there.
func read(in []byte, most uint64) (f said1, rest []byte, err error) {
	at := func(i int) uint64 {
		if i < len(in) {
			return uint64(in[i])
		}
		return 0
	}
	if len(in) < 2 {
		return f, nil, nil
	}
	f = said1{fin: at(0) >= 128, masked: at(1) >= 128, op: int(at(0) % 16)}
	control := f.op >= 8
	size, head := at(1)%128, 2
	if at(0)/16%8 != 0 || f.op > 10 || f.op > 2 && f.op < 8 || control && (size > 125 || !f.fin) {
		return f, nil, errOracle
	}
	if wide := map[uint64]int{126: 2, 127: 8}[size]; wide > 0 {
		size = 0
		for i := range wide {
			size = size<<8 | at(head+i)
		}
		if head += wide; len(in) < head {
			return f, nil, nil
		}
	}
	if size > most {
		return f, nil, errOracle
	}
	var key [4]byte
	if f.masked {
		if head += 4; len(in) < head {
			return f, nil, nil
		}
		copy(key[:], in[head-4:])
	}
	if uint64(len(in)) < uint64(head)+size {
		return f, nil, nil
	}
	f.raw, rest = in[:head+int(size)], in[head+int(size):]
	for i, b := range f.raw[head:] {
		f.text = append(f.text, b^key[i%4])
	}
	return f, rest, nil
}

// put is a frame as a server writes it.
func put(op int, text []byte) []byte {
	n := len(text)
	head := []byte{byte(128 + op), byte(n)}
	if n > 65535 {
		head = append([]byte{head[0], 127, 0, 0, 0, 0}, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	} else if n > 125 {
		head = append([]byte{head[0], 126}, byte(n>>8), byte(n))
	}
	return append(head, text...)
}

// heard says what a client must get of what the CRM says, also in front of an
// error, and what it must never get.
func heard(p *plan.Plan, in []byte) (out []byte, secret []string, err error) {
	var message []byte
	open := false
	var known echo.Set // values of the messages so far
	for {
		f, rest, err := read(in, 1<<20)
		if err != nil || rest == nil && f.raw == nil {
			return out, secret, err
		}
		in = rest
		switch {
		case f.masked:
			return out, secret, errOracle
		case f.op == 8 && len(f.text) < 2:
			out = append(out, put(8, nil)...)
		case f.op == 8:
			reason, _ := mask.Detect(nil, f.text[2:])
			if !utf8.Valid(f.text[2:]) {
				return out, secret, errOracle
			}
			if len(reason) > 123 {
				reason = nil
			}
			out = append(out, put(8, append(f.text[:2:2], reason...))...)
		case f.op > 8:
			if _, n := mask.Detect(nil, f.text); n == 0 {
				out = append(out, put(f.op, f.text)...)
			}
		case f.op == 2, f.op == 1 && open, f.op == 0 && !open:
			return out, secret, errOracle
		default:
			message = append(message, f.text...)
			if open = !f.fin; open {
				continue
			}
			secret = append(secret, hidden(p, message)...)
			doc, err := jsonmask.New(p, viewer, jsonmask.Limits{Echo: &known}).Append(nil, message)
			message = nil
			if errors.Is(err, jsonmask.ErrNotVisible) {
				continue
			}
			if err != nil {
				return out, secret, errOracle
			}
			out = append(out, put(1, doc)...)
		}
	}
}

// spoken says what the CRM must get of what a client says.
func spoken(p *plan.Plan, in []byte) (out []byte, err error) {
	var words, frames []byte
	open := false
	for {
		f, rest, err := read(in, maxSaid)
		if err != nil || rest == nil && f.raw == nil {
			return out, err
		}
		in = rest
		switch {
		case !f.masked, f.op == 2, f.op == 1 && open, f.op == 0 && !open:
			return out, errOracle
		case f.op >= 8:
			out = append(out, f.raw...)
			continue
		}
		words, frames = append(words, f.text...), append(frames, f.raw...)
		if len(frames) > maxSaid {
			return out, errOracle
		}
		if open = !f.fin; open {
			continue
		}
		if !slices.Contains(p.Say, string(words)) {
			return out, errOracle
		}
		out = append(out, frames...)
		words, frames = nil, nil
	}
}

var planted = regexp.MustCompile(`secret|canary[a-p]{3}y`)

// plant gives every secret a name of its own, of ten letters.
func plant(b []byte) []byte {
	n := -1
	return planted.ReplaceAllFunc(b, func([]byte) []byte {
		n++
		return fmt.Appendf(nil, "canary%c%c%cy", 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15)
	})
}

// hidden returns the canaries of a message that stand under names of which
// nothing is shown.
func hidden(p *plan.Plan, message []byte) []string {
	var v any
	if json.Unmarshal(bytes.TrimPrefix(message, []byte("\xEF\xBB\xBF")), &v) != nil {
		return nil
	}
	var out []string
	var walk func(v any, within bool)
	walk = func(v any, within bool) {
		switch v := v.(type) {
		case string:
			if within {
				out = append(out, planted.FindAllString(v, -1)...)
			}
		case []any:
			for _, x := range v {
				walk(x, within)
			}
		case map[string]any:
			for name, x := range v {
				t := p.Fallback.Fields[resource.Fold(name)]
				walk(x, within || t != nil && t.Effect >= plan.Mask)
			}
		}
	}
	walk(v, false)
	return out
}
