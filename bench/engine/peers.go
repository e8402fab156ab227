// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"io"

	"github.com/bytedance/sonic"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"github.com/valyala/fastjson"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// contestant does the work once and writes the result to w, if it has one: as it
// comes where it can, else as a whole.
type contestant func(w io.Writer, doc []byte) error

// ours keeps a masker from document to document, cold has a new one for each.
func ours(p *plan.Plan, cold bool) contestant {
	m := jsonmask.New(p, nil, jsonmask.Limits{})
	src, buf := bytes.NewReader(nil), make([]byte, 32<<10)
	return func(w io.Writer, doc []byte) error {
		m.Reset(p, nil, jsonmask.Limits{})
		if cold {
			m = jsonmask.New(p, nil, jsonmask.Limits{})
		}
		src.Reset(doc)
		r := m.Reader(src)
		for {
			n, err := r.Read(buf)
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}

var copyBuffer [32 << 10]byte

// copied is as fast as bytes can pass through a buffer.
func copied(w io.Writer, doc []byte) error {
	buf := copyBuffer[:]
	for len(doc) > 0 {
		n := copy(buf, doc)
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		doc = doc[n:]
	}
	return nil
}

var errInvalid = errors.New("not valid")

func validOnly(_ io.Writer, doc []byte) error {
	if !stdjson.Valid(doc) {
		return errInvalid
	}
	return nil
}

func strictOnly(_ io.Writer, doc []byte) error {
	if !jsontext.Value(doc).IsValid() {
		return errInvalid
	}
	return nil
}

// whole is a contestant that makes the whole result before anything of it is
// written, in a buffer that it keeps.
func whole(run func(dst, doc []byte) ([]byte, error)) contestant {
	var dst []byte
	return func(w io.Writer, doc []byte) (err error) {
		if dst, err = run(dst[:0], doc); err != nil {
			return err
		}
		_, err = w.Write(dst)
		return err
	}
}

// edit masks one lead that was decoded.
func edit(lead map[string]any) {
	for name := range masks {
		if s, ok := lead[name].(string); ok {
			lead[name] = masked(name, s)
		}
	}
	for name := range dropped {
		delete(lead, name)
	}
}

// editAll masks a decoded document of either shape.
func editAll(doc any) {
	switch v := doc.(type) {
	case []any:
		for _, lead := range v {
			edit(lead.(map[string]any))
		}
	case map[string]any:
		for _, l := range v["Leads"].([]any) {
			lead := l.(map[string]any)
			kept := []any{}
			for _, p := range lead["LeadPropertyList"].([]any) {
				pair := p.(map[string]any)
				name := pair["Attribute"].(string)
				if dropped[name] {
					continue
				}
				if s, ok := pair["Value"].(string); ok && masks[name] != nil {
					pair["Value"] = masked(name, s)
				}
				kept = append(kept, p)
			}
			lead["LeadPropertyList"] = kept
		}
	}
}

func stdMap(w io.Writer, doc []byte) error {
	var v any
	d := stdjson.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	editAll(v)
	out, err := stdjson.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

func v2Map(w io.Writer, doc []byte) error {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return err
	}
	editAll(v)
	out, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

var sonicNumbers = sonic.Config{UseNumber: true}.Froze()

func sonicMap(w io.Writer, doc []byte) error {
	var v any
	if err := sonicNumbers.Unmarshal(doc, &v); err != nil {
		return err
	}
	editAll(v)
	out, err := sonicNumbers.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

func gjsonFlat(dst, doc []byte) ([]byte, error) {
	lead := 0
	gjson.ParseBytes(doc).ForEach(func(_, l gjson.Result) bool {
		dst = append(dst, "[,"[min(lead, 1)])
		lead++
		sep := byte('{')
		l.ForEach(func(k, v gjson.Result) bool {
			if dropped[k.Str] {
				return true
			}
			dst = append(append(append(dst, sep), k.Raw...), ':')
			sep = ','
			if masks[k.Str] != nil && v.Type == gjson.String {
				dst = gjson.AppendJSONString(dst, masked(k.Str, v.Str))
			} else {
				dst = append(dst, v.Raw...)
			}
			return true
		})
		dst = append(dst, '}')
		return true
	})
	return append(dst, ']'), nil
}

func sjsonFlat(dst, doc []byte) ([]byte, error) {
	first := true
	var failed error
	gjson.ParseBytes(doc).ForEach(func(_, l gjson.Result) bool {
		lead := []byte(l.Raw)
		for name := range masks {
			if v := gjson.GetBytes(lead, name); v.Type == gjson.String {
				lead, failed = sjson.SetBytes(lead, name, masked(name, v.Str))
			}
		}
		for name := range dropped {
			lead, failed = sjson.DeleteBytes(lead, name)
		}
		dst = append(dst, "[,"[btoi(!first)])
		first = false
		dst = append(dst, lead...)
		return failed == nil
	})
	return append(dst, ']'), failed
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func fast() contestant {
	var p fastjson.Parser
	var arena fastjson.Arena
	return whole(func(dst, doc []byte) ([]byte, error) {
		arena.Reset()
		v, err := p.ParseBytes(doc)
		if err != nil {
			return dst, err
		}
		set := func(o *fastjson.Value, name, at string) {
			if f := o.Get(at); f != nil && f.Type() == fastjson.TypeString {
				o.Set(at, arena.NewString(masked(name, string(f.GetStringBytes()))))
			}
		}
		for _, lead := range v.GetArray() {
			for name := range masks {
				set(lead, name, name)
			}
			for name := range dropped {
				lead.Del(name)
			}
		}
		for _, lead := range v.GetArray("Leads") {
			kept := arena.NewArray()
			n := 0
			for _, pair := range lead.GetArray("LeadPropertyList") {
				name := string(pair.GetStringBytes("Attribute"))
				if dropped[name] {
					continue
				}
				if masks[name] != nil {
					set(pair, name, "Value")
				}
				kept.SetArrayItem(n, pair)
				n++
			}
			lead.Set("LeadPropertyList", kept)
		}
		return v.MarshalTo(dst), nil
	})
}
