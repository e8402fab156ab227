// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package corktest has what tests of connections that can be corked share.
package corktest

import (
	"net"
	"testing"
)

// Pair returns the two ends of a TCP connection, the first as the wrapped listener
// accepts it. Both are closed with the test.
func Pair(t testing.TB, wrap func(net.Listener) net.Listener) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	defer l.Close()
	if there, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatalf("dialling: %v", err)
	}
	t.Cleanup(func() { there.Close() })
	if here, err = wrap(l).Accept(); err != nil {
		t.Fatalf("accepting: %v", err)
	}
	t.Cleanup(func() { here.Close() })
	return here, there
}
