// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// leakGot is an answer down to its last byte.
type leakGot struct {
	status  int
	early   []http.Header
	header  http.Header
	trailer http.Header
	body    []byte // as it came, content coding and all
	plain   []byte // without the content coding
	cut     bool   // it broke off
	extra   []byte // bytes behind its end
	raw     []byte // all bytes of the connection
}

// leakWire is one way to the gateway.
type leakWire struct {
	addr  string // host and port
	pool  *x509.CertPool
	http2 bool
}

// send asks over a connection of its own and keeps everything that comes back.
func (w *leakWire) send(method, path string, header http.Header, body string) (*leakGot, error) {
	proto := "http/1.1"
	if w.http2 {
		proto = "h2"
	}
	conn, err := tls.Dial("tcp", strings.Replace(w.addr, "localhost", "127.0.0.1", 1),
		&tls.Config{RootCAs: w.pool, ServerName: "localhost", NextProtos: []string{proto}})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	g := &leakGot{}
	rec := &leakTee{Reader: conn}
	if w.http2 {
		err = g.over2(conn, rec, w.addr, method, path, header, body)
	} else {
		err = g.over1(conn, rec, w.addr, method, path, header, body)
	}
	g.raw = rec.all.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w after %q", err, g.raw[:min(len(g.raw), 300)])
	}
	g.plain = unpackWorkbook(decodeBody(g.header.Get("Content-Encoding"), g.body))
	return g, nil
}

// leakTee keeps what is read.
type leakTee struct {
	io.Reader
	all bytes.Buffer
}

// Read implements io.Reader.
func (r *leakTee) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.all.Write(p[:n])
	return n, err
}

// over1 speaks HTTP/1.1.
func (g *leakGot) over1(conn io.Writer, in io.Reader, host, method, path string, header http.Header, body string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, path, host)
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	_ = header.Write(&b)
	b.WriteString("\r\n" + body)
	if _, err := conn.Write(b.Bytes()); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			g.early = append(g.early, res.Header)
			continue
		}
		g.status, g.header = res.StatusCode, res.Header
		g.body, err = io.ReadAll(res.Body)
		g.cut = err != nil
		g.trailer = res.Trailer
		g.extra, _ = io.ReadAll(r)
		return nil
	}
}

// over2 speaks HTTP/2.
func (g *leakGot) over2(conn io.Writer, in io.Reader, host, method, path string, header http.Header, body string) error {
	_, _ = io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, bufio.NewReader(in))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 28})
	_ = fr.WriteWindowUpdate(0, 1<<28)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", host}, {":path", path}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	for name, values := range header {
		for _, v := range values {
			_ = enc.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: v})
		}
	}
	if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: body == "", EndHeaders: true}); err != nil {
		return err
	}
	if body != "" {
		if err := fr.WriteData(1, true, []byte(body)); err != nil {
			return err
		}
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			if g.status != 0 && !errors.Is(err, http2.ErrFrameTooLarge) {
				g.cut = true
				return nil
			}
			return fmt.Errorf("reading the answer: %w", err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			g.headers2(f)
			if f.StreamEnded() {
				return nil
			}
		case *http2.DataFrame:
			g.body = append(g.body, f.Data()...)
			if f.StreamEnded() {
				return nil
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			g.cut = true
			return nil
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		}
	}
}

// headers2 keeps a block of headers: early ones, the answer's, trailers.
func (g *leakGot) headers2(f *http2.MetaHeadersFrame) {
	h := http.Header{}
	for _, field := range f.RegularFields() {
		h.Add(field.Name, field.Value)
	}
	status, _ := strconv.Atoi(f.PseudoValue("status"))
	switch {
	case status == 0:
		g.trailer = h
	case status < 200:
		g.early = append(g.early, h)
	default:
		g.status, g.header = status, h
	}
}
