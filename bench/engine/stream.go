// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// tokens copies a document token by token, with every check that jsontext makes.
// Pairs are believed to be a name and a value, in this order.
func tokens(w io.Writer, doc []byte) error {
	d, e := jsontext.NewDecoder(bytes.NewReader(doc)), jsontext.NewEncoder(w)
	for {
		tok, err := d.ReadToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		kind, n := d.StackIndex(d.StackDepth())
		switch {
		case tok.Kind() == '{' && d.StackDepth() == 5:
			err = tokenPair(d, e)
		case kind == '{' && n%2 == 1 && tok.Kind() == '"':
			err = tokenMember(d, e, tok.String())
		default:
			err = e.WriteToken(tok)
		}
		if err != nil {
			return err
		}
	}
}

func tokenMember(d *jsontext.Decoder, e *jsontext.Encoder, name string) error {
	if dropped[name] {
		return d.SkipValue()
	}
	if err := e.WriteToken(jsontext.String(name)); err != nil {
		return err
	}
	if masks[name] == nil || d.PeekKind() != '"' {
		return nil
	}
	v, err := d.ReadToken()
	if err != nil {
		return err
	}
	return e.WriteToken(jsontext.String(masked(name, v.String())))
}

func tokenPair(d *jsontext.Decoder, e *jsontext.Encoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	name := tok.String()
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	value, err := d.ReadToken()
	if err != nil {
		return err
	}
	if !dropped[name] {
		if masks[name] != nil && value.Kind() == '"' {
			value = jsontext.String(masked(name, value.String()))
		}
		for _, t := range [...]jsontext.Token{jsontext.BeginObject, jsontext.String("Attribute"), jsontext.String(name), jsontext.String("Value"), value, jsontext.EndObject} {
			if err := e.WriteToken(t); err != nil {
				return err
			}
		}
	}
	_, err = d.ReadToken()
	return err
}

// spans reads with jsontext and copies what stays as it came, in runs.
func spans(dst, doc []byte) ([]byte, error) {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	from, end := 0, 0 // what is not copied yet; behind the last value that stayed
	for {
		tok, err := d.ReadToken()
		if err == io.EOF {
			return append(dst, doc[from:]...), nil
		}
		if err != nil {
			return dst, err
		}
		kind, n := d.StackIndex(d.StackDepth())
		if kind == '{' && n%2 == 1 && tok.Kind() == '"' {
			name := tok.String()
			switch {
			case dropped[name]:
				dst = append(dst, doc[from:end]...)
				if err := d.SkipValue(); err != nil {
					return dst, err
				}
				from = int(d.InputOffset())
			case masks[name] != nil && d.PeekKind() == '"':
				v, err := d.ReadToken()
				if err != nil {
					return dst, err
				}
				text := masked(name, v.String())
				raw := int(d.InputOffset())
				start := bytes.LastIndexByte(doc[:raw-1], '"') // the values masked here hold no quotes
				dst = append(dst, doc[from:start]...)
				if dst, err = jsontext.AppendQuote(dst, text); err != nil {
					return dst, err
				}
				from = raw
			}
		}
		end = int(d.InputOffset())
	}
}
