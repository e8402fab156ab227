// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The methods by which zap adds to an encoder what all lines of a logger have. They
// keep it, in order, and encode nothing.

func (e *Encoder) keep(f zapcore.Field) { e.kept = append(e.kept, f) }

// AddArray keeps a list.
func (e *Encoder) AddArray(key string, v zapcore.ArrayMarshaler) error {
	e.keep(zap.Array(key, v))
	return nil
}

// AddObject keeps an object.
func (e *Encoder) AddObject(key string, v zapcore.ObjectMarshaler) error {
	e.keep(zap.Object(key, v))
	return nil
}

// AddReflected keeps any value.
func (e *Encoder) AddReflected(key string, v any) error {
	e.keep(zap.Reflect(key, v))
	return nil
}

// OpenNamespace keeps that what follows stands in an object of its own.
func (e *Encoder) OpenNamespace(key string) { e.keep(zap.Namespace(key)) }

// AddBinary keeps a value.
func (e *Encoder) AddBinary(key string, v []byte) { e.keep(zap.Binary(key, slices.Clone(v))) }

// AddByteString keeps a value.
func (e *Encoder) AddByteString(key string, v []byte) { e.keep(zap.ByteString(key, slices.Clone(v))) }

// AddBool keeps a value.
func (e *Encoder) AddBool(key string, v bool) { e.keep(zap.Bool(key, v)) }

// AddComplex128 keeps a value.
func (e *Encoder) AddComplex128(key string, v complex128) { e.keep(zap.Complex128(key, v)) }

// AddComplex64 keeps a value.
func (e *Encoder) AddComplex64(key string, v complex64) { e.keep(zap.Complex64(key, v)) }

// AddDuration keeps a value.
func (e *Encoder) AddDuration(key string, v time.Duration) { e.keep(zap.Duration(key, v)) }

// AddFloat64 keeps a value.
func (e *Encoder) AddFloat64(key string, v float64) { e.keep(zap.Float64(key, v)) }

// AddFloat32 keeps a value.
func (e *Encoder) AddFloat32(key string, v float32) { e.keep(zap.Float32(key, v)) }

// AddInt keeps a value.
func (e *Encoder) AddInt(key string, v int) { e.keep(zap.Int(key, v)) }

// AddInt64 keeps a value.
func (e *Encoder) AddInt64(key string, v int64) { e.keep(zap.Int64(key, v)) }

// AddInt32 keeps a value.
func (e *Encoder) AddInt32(key string, v int32) { e.keep(zap.Int32(key, v)) }

// AddInt16 keeps a value.
func (e *Encoder) AddInt16(key string, v int16) { e.keep(zap.Int16(key, v)) }

// AddInt8 keeps a value.
func (e *Encoder) AddInt8(key string, v int8) { e.keep(zap.Int8(key, v)) }

// AddString keeps a value.
func (e *Encoder) AddString(key string, v string) { e.keep(zap.String(key, v)) }

// AddTime keeps a value.
func (e *Encoder) AddTime(key string, v time.Time) { e.keep(zap.Time(key, v)) }

// AddUint keeps a value.
func (e *Encoder) AddUint(key string, v uint) { e.keep(zap.Uint(key, v)) }

// AddUint64 keeps a value.
func (e *Encoder) AddUint64(key string, v uint64) { e.keep(zap.Uint64(key, v)) }

// AddUint32 keeps a value.
func (e *Encoder) AddUint32(key string, v uint32) { e.keep(zap.Uint32(key, v)) }

// AddUint16 keeps a value.
func (e *Encoder) AddUint16(key string, v uint16) { e.keep(zap.Uint16(key, v)) }

// AddUint8 keeps a value.
func (e *Encoder) AddUint8(key string, v uint8) { e.keep(zap.Uint8(key, v)) }

// AddUintptr keeps a value.
func (e *Encoder) AddUintptr(key string, v uintptr) { e.keep(zap.Uintptr(key, v)) }
