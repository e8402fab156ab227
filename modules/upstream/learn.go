// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"io"
	"net/http"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/policy"
)

// maxSignIn bounds the answer of a CRM's own sign-in.
const maxSignIn = 64 << 10

// learn reads the CRM session out of the answer of the CRM's own sign-in and
// binds it before the client learns it: an answer whose session cannot be bound
// is withheld.
//
// An answer that is an error is a sign-in the CRM refused: it goes through as it
// came and binds nothing. A session it should grant all the same is one nobody
// knows, and refused wherever it turns up.
func (t *Transport) learn(req *http.Request, res *http.Response, d *crmgate.Decision) *http.Response {
	if res.StatusCode >= http.StatusBadRequest {
		res.Body = &counter{ReadCloser: res.Body, facts: &d.Facts}
		return res
	}
	plain, err := coding.NewReader(joined(res.Header.Values("Content-Encoding")), res.Body, coding.Limits{MaxDecoded: maxSignIn})
	if err != nil {
		return t.withhold(req, res, d, policy.UpstreamCoding, err.Error())
	}
	body, err := io.ReadAll(io.LimitReader(plain, maxSignIn+1))
	if err != nil || len(body) > maxSignIn {
		return t.withhold(req, res, d, policy.UpstreamShape, "the sign-in's answer cannot be read")
	}
	_ = res.Body.Close()
	if err := d.Learn(req.Context(), body); err != nil {
		return t.withhold(req, res, d, policy.CRMSession, err.Error())
	}
	out := *res
	out.Header = res.Header.Clone()
	out.Header.Del("Content-Encoding")
	out.Header.Del("Content-Length")
	out.Header.Set("Cache-Control", "no-store")
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	d.Facts.Bytes = int64(len(body))
	return &out
}
