// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 proves with it that the server understood, and nothing else
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/socketmask"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// socket stands between a client and the WebSocket the CRM has opened, or refuses
// what is no WebSocket, or one whose bytes an extension changes.
func (t *Transport) socket(req *http.Request, res *http.Response, d *crmgate.Decision, p *plan.Plan) *http.Response {
	conn, ok := res.Body.(io.ReadWriteCloser)
	accept := res.Header.Get("Sec-Websocket-Accept")
	switch {
	case p.Format != plan.WebSocket || !ok:
		return t.withhold(req, res, d, policy.UpstreamShape, "an upgrade where a rewritten answer was decided")
	case !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") || accept != acceptOf(keyOf(req.Header)):
		return t.withhold(req, res, d, policy.UpstreamShape, "an upgrade to something that is no WebSocket")
	case len(res.Header.Values("Sec-Websocket-Extensions")) > 0:
		return t.withhold(req, res, d, policy.UpstreamCoding, "a WebSocket with an extension")
	}
	out := *res
	out.Header = cleanResponse(res.Header, req)
	out.Header.Set("Connection", "Upgrade")
	out.Header.Set("Upgrade", "websocket")
	out.Header.Set("Sec-Websocket-Accept", accept)
	d.Facts.Sent = true
	out.Body = &spoken{Conn: socketmask.New(conn, p, d.Viewer, jsonmask.Limits{Hold: holdTotals}), facts: &d.Facts}
	return &out
}

// keyOf returns the key of a handshake, which reverse_proxy spells in its own way.
func keyOf(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, "Sec-WebSocket-Key") && len(values) == 1 {
			return values[0]
		}
	}
	return ""
}

// acceptOf is what a server answers to a key (RFC 6455, 1.3).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// spoken is the rewritten connection. It keeps the facts when reading ends, which
// the proxy waits for.
type spoken struct {
	*socketmask.Conn
	facts *crmgate.Facts
}

// Read reads rewritten frames.
func (s *spoken) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.facts.Bytes += int64(n)
	if err != nil {
		st := s.Stats()
		s.facts.Masked, s.facts.Hidden, s.facts.Dropped = names(st.Masked), names(st.Hidden), st.Dropped
		if !errors.Is(err, io.EOF) && isOurs(err) {
			s.facts.Reason, s.facts.Detail = policy.UpstreamShape, "the socket was closed: "+err.Error()
		}
	}
	return n, err
}

// isOurs says whether a connection ended because of what was said on it.
func isOurs(err error) bool {
	var syntax *jsonmask.SyntaxError
	var shape *jsonmask.ShapeError
	var limit *jsonmask.LimitError
	return errors.Is(err, socketmask.ErrSocket) || errors.As(err, &syntax) || errors.As(err, &shape) || errors.As(err, &limit)
}
