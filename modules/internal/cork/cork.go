// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package cork lets what is written to a connection in pieces leave in one system
// call, as TCP_CORK does on Linux, without the calls that TCP_CORK itself takes.
//
// A web server sends the header and the first 4 KiB of an answer by themselves,
// however much more is there already, and TLS sends each of its records. Whoever has
// more of an answer in hand than that corks the connection while it is written:
//
//	if c := cork.Of(r.Context()); c != nil && r.ProtoMajor == 1 {
//		c.Cork()
//		defer c.Uncork()
//	}
//	w.Write(page)
//
// The connection has to come from a [Listener], and the server has to call [With] for
// each (http.Server.ConnContext).
package cork

import (
	"context"
	"net"
)

// Listener makes every TCP connection that it accepts one that can be corked.
// Connections of other kinds are handed on as they are: they cannot be corked,
// and nothing else is different.
type Listener struct{ net.Listener }

// Accept waits for a connection.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &Conn{TCPConn: t}, nil
	}
	return c, err //nolint:wrapcheck // the listener's own, which servers compare
}

type contextKey struct{}

// With adds the connection to the context of all that comes over it. Where c is no
// connection of a Listener, nor TLS or the PROXY protocol over one, ctx is returned as
// it is.
func With(ctx context.Context, c net.Conn) context.Context {
	own := beneath(c)
	if own == nil || Of(ctx) == own {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, own)
}

// beneath is the connection of a Listener that c is, or writes to. What those between
// make of the bytes does not matter: what is kept is what they write.
func beneath(c net.Conn) *Conn {
	for {
		switch over := c.(type) {
		case *Conn:
			return over
		case interface{ NetConn() net.Conn }: // *tls.Conn
			c = over.NetConn()
		case interface{ Raw() net.Conn }: // the PROXY protocol's
			c = over.Raw()
		default:
			return nil
		}
	}
}

// Of is the connection that a request came over, nil when it cannot be corked.
// Several requests share one under HTTP/2: do not cork those.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}
