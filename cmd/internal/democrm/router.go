// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"errors"
	"net/http"
	"path"
	"strings"
	"time"
)

// access says who may call a route.
type access uint8

const (
	withKeys   access = iota // a valid key pair
	withAPIKey               // a valid key pair and the account's x-api-key
	onlyAPIKey               // the account's x-api-key alone
	open                     // anybody: static files and pages without data
)

// route is one line of the CRM's interface. Exactly one of read, write and raw
// is set: read runs under the read lock, write under the write lock, raw
// without one.
type route struct {
	method string
	path   string // in the spelling of the documentation; {id} captures
	access access
	read   endpoint
	write  endpoint
	raw    func(*call) error
	// soft marks the family that answers its errors inside HTTP 200.
	soft bool
}

// endpoint answers a call with a value to be written as JSON.
type endpoint func(c *CRM, q *call) (any, error)

// call is one request with what the router found out about it.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	user *user // nil on open routes
	body []byte
	now  time.Time
}

func (q *call) query(name string) string { return queryValue(q.r, name) }
func (q *call) capture(name string) string {
	return q.r.PathValue(name)
}

// Handler serves the whole CRM. Paths are compared without regard to case.
func (c *CRM) Handler() http.Handler { return http.HandlerFunc(c.serve) }

// serve brings the path into the form routes are kept in: lower case, no
// doubled slashes, dots resolved.
func (c *CRM) serve(w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Path = strings.ToLower(path.Clean("/" + u.Path))
	u.RawPath = ""
	clean := r.Clone(r.Context())
	clean.URL = &u
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	c.mux.ServeHTTP(w, clean)
}

func (c *CRM) buildMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range c.routes() {
		mux.HandleFunc(rt.method+" "+strings.ToLower(rt.path), func(w http.ResponseWriter, r *http.Request) {
			c.dispatch(w, r, rt)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		status, message := http.StatusNotFound, "No such operation"
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" {
				w.Header().Set("Allow", method)
				status, message = http.StatusMethodNotAllowed, "This operation takes "+method
			}
		}
		c.refuse(w, &apiError{status, "MXInvalidOperationException", message}, false)
	})
	return mux
}

func (c *CRM) dispatch(w http.ResponseWriter, r *http.Request, rt route) {
	q := &call{w: w, r: r, now: c.clock.Now()}
	who := "-"
	answer, err := c.run(q, rt)
	if q.user != nil {
		who = q.user.email
	}
	c.log.Debug("call", "method", r.Method, "path", r.URL.Path, "user", who, "ok", err == nil)
	switch {
	case err != nil:
		c.refuse(w, err, rt.soft && q.user != nil)
	case answer != nil:
		if err := writeJSON(w, http.StatusOK, answer); err != nil {
			c.log.Debug("writing an answer", "path", r.URL.Path, "error", err)
		}
	}
}

func (c *CRM) run(q *call, rt route) (any, error) {
	if err := c.admit(q, rt.access); err != nil {
		return nil, err
	}
	if rt.raw != nil {
		return nil, rt.raw(q)
	}
	var err error
	if q.body, err = readBody(q.w, q.r); err != nil {
		return nil, err
	}
	if rt.read != nil {
		c.mu.RLock()
		defer c.mu.RUnlock()
		return rt.read(c, q)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return rt.write(c, q)
}

func (c *CRM) admit(q *call, need access) error {
	if need == withAPIKey || need == onlyAPIKey {
		if q.r.Header.Get(headerAPIKey) != c.account.apiKey {
			return unauthorised("The x-api-key header is missing or not valid")
		}
	}
	if need == withKeys || need == withAPIKey {
		u, err := c.authenticate(q.r)
		if err != nil {
			return err
		}
		q.user = u
		return c.limit.allow(u.accessKey, q.now)
	}
	return nil
}

// refuse writes an error in the CRM's envelope. Errors of any other type say
// nothing of their inside.
func (c *CRM) refuse(w http.ResponseWriter, err error, soft bool) {
	var e *apiError
	if !errors.As(err, &e) {
		c.log.Debug("internal error", "error", err)
		e = fail("System", "An unexpected error occurred")
	}
	status := e.status
	if soft && status == http.StatusInternalServerError {
		status = http.StatusOK
	}
	if err := writeJSON(w, status, errorEnvelope{"Error", e.kind, e.message}); err != nil {
		c.log.Debug("writing an error", "error", err)
	}
}

// mustAdmin refuses everybody but administrators.
func (q *call) mustAdmin() error {
	if q.user.role != roleAdmin {
		return fail("UnAuthorizedAccess", "This operation is for administrators only")
	}
	return nil
}
