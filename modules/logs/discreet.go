// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"strings"

	"go.uber.org/zap/zapcore"
)

// addresses are the names, in lower case, of what is or has an address.
var addresses = map[string]bool{
	"uri": true, "url": true, "referer": true, "location": true, "content-location": true, "link": true, "refresh": true, "origin": true,
}

// isAddress says whether a value of this name is or has an address.
func isAddress(name string) bool {
	if len(name) > len("content-location") {
		return false
	}
	return addresses[strings.ToLower(name)]
}

// withoutQuery cuts an address before its query or fragment, a text with an address
// in it before the first. What follows a query in such a text goes with it.
func withoutQuery(text string) string {
	i := strings.IndexAny(text, "?#")
	if i < 0 {
		return text
	}
	return text[:i+1] + "..."
}

// discreet hands everything on but queries of addresses, however deep they stand.
type discreet struct{ zapcore.ObjectEncoder }

// AddString adds a text.
func (d discreet) AddString(key, value string) {
	if isAddress(key) {
		value = withoutQuery(value)
	}
	d.ObjectEncoder.AddString(key, value)
}

// AddByteString adds a text.
func (d discreet) AddByteString(key string, value []byte) {
	if isAddress(key) {
		d.AddString(key, string(value))
		return
	}
	d.ObjectEncoder.AddByteString(key, value)
}

// AddObject adds an object.
func (d discreet) AddObject(key string, m zapcore.ObjectMarshaler) error {
	return d.ObjectEncoder.AddObject(key, zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error { //nolint:wrapcheck // the wrapped one's answer
		return m.MarshalLogObject(discreet{enc}) //nolint:wrapcheck // as above
	}))
}

// AddArray adds a list, such as the values of a header.
func (d discreet) AddArray(key string, m zapcore.ArrayMarshaler) error {
	short := isAddress(key)
	return d.ObjectEncoder.AddArray(key, zapcore.ArrayMarshalerFunc(func(enc zapcore.ArrayEncoder) error { //nolint:wrapcheck // as above
		return m.MarshalLogArray(discreetArray{enc, short}) //nolint:wrapcheck // as above
	}))
}

// discreetArray does the same within a list.
type discreetArray struct {
	zapcore.ArrayEncoder

	short bool // its texts are addresses
}

// AppendString adds a text.
func (d discreetArray) AppendString(value string) {
	if d.short {
		value = withoutQuery(value)
	}
	d.ArrayEncoder.AppendString(value)
}

// AppendByteString adds a text.
func (d discreetArray) AppendByteString(value []byte) {
	if d.short {
		d.AppendString(string(value))
		return
	}
	d.ArrayEncoder.AppendByteString(value)
}

// AppendObject adds an object.
func (d discreetArray) AppendObject(m zapcore.ObjectMarshaler) error {
	return d.ArrayEncoder.AppendObject(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error { //nolint:wrapcheck // as above
		return m.MarshalLogObject(discreet{enc}) //nolint:wrapcheck // as above
	}))
}

// AppendArray adds a list.
func (d discreetArray) AppendArray(m zapcore.ArrayMarshaler) error {
	return d.ArrayEncoder.AppendArray(zapcore.ArrayMarshalerFunc(func(enc zapcore.ArrayEncoder) error { //nolint:wrapcheck // as above
		return m.MarshalLogArray(discreetArray{enc, d.short}) //nolint:wrapcheck // as above
	}))
}
