// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin serves /crmgate/ on Caddy's admin listener: people, sessions, locks,
// policy, audit. Every answer is JSON, errors have the member "error"; every act
// is audited with "admin api" as its author.
//
// The listener itself has no sign-in: whoever reaches it rules the gate. Requests
// that a browser made for another site are refused.
//
// Method and path | Does
// ----------------|-----
// GET /crmgate/info | version, account, digests of map and policy, health
// GET /crmgate/people | everybody in the directory
// POST /crmgate/people | adds {email, name, role, owner_ids, password}
// PATCH /crmgate/people/{email} | changes {name, role, owner_ids, status, password}
// PUT /crmgate/people/{email}/crm-key | sets {access_key, secret_key}
// GET /crmgate/people/{email}/factors | second factors
// DELETE /crmgate/people/{email}/factors | takes them all away
// GET /crmgate/people/{email}/devices | trusted devices
// DELETE /crmgate/people/{email}/devices | ends the trust in all
// DELETE /crmgate/people/{email}/devices/{id} | ends the trust in one
// PUT /crmgate/people/{email}/phone | sets {number} for text messages
// PUT /crmgate/people/{email}/password-hash | imports {hash, must_change}
// GET /crmgate/identity | identity providers
// POST /crmgate/identity/{name}/test | asks one, with {email, password} where it checks passwords
// POST /crmgate/mail/test | sends a mail to {to}
// POST /crmgate/sms/test | sends a text message to {to}
// PUT /crmgate/people/{email}/crm-login | sets {user, password} for bridge credentials
// GET /crmgate/sessions?email= | live sessions
// DELETE /crmgate/sessions/{id} | ends one session
// POST /crmgate/sessions/end | ends all of {email}
// GET /crmgate/locks | locks in force
// POST /crmgate/locks | sets {target, value, message, for, exempt}
// DELETE /crmgate/locks/{id} | lifts one
// GET /crmgate/bans | bans of those who guessed too often
// DELETE /crmgate/bans/{what}/{kind}/{id} | lifts one
// GET /crmgate/policy | the policy in force
// GET /crmgate/policy/revisions | accepted policies, newest first
// POST /crmgate/policy/check | checks the policy in the body
// POST /crmgate/policy/explain | explains {email, method, url, body}
// GET /crmgate/audit?... | records
// GET /crmgate/audit/verify | checks every chain
// GET /crmgate/audit/export?format=jsonl | records as jsonl or csv
// POST /crmgate/refresh | reads the watched files now
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.crmgate", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the one route, which owns its prefix.
func (*Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/crmgate/", Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

// adminCall is one request to the admin API.
type adminCall struct {
	app *App
	rt  *runtime
	w   http.ResponseWriter
	r   *http.Request
}

// adminRoutes are the calls by method and pattern.
var adminRoutes = func() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, fn := range map[string]func(*adminCall) (any, error){
		"GET /crmgate/info":                           (*adminCall).info,
		"GET /crmgate/people":                         (*adminCall).people,
		"POST /crmgate/people":                        (*adminCall).addPerson,
		"PATCH /crmgate/people/{email}":               (*adminCall).changePerson,
		"PUT /crmgate/people/{email}/crm-key":         (*adminCall).setKey,
		"GET /crmgate/people/{email}/factors":         (*adminCall).factors,
		"DELETE /crmgate/people/{email}/factors":      (*adminCall).resetFactors,
		"GET /crmgate/people/{email}/devices":         (*adminCall).devices,
		"DELETE /crmgate/people/{email}/devices":      (*adminCall).revokeDevices,
		"DELETE /crmgate/people/{email}/devices/{id}": (*adminCall).revokeDevice,
		"PUT /crmgate/people/{email}/phone":           (*adminCall).setPhone,
		"PUT /crmgate/people/{email}/password-hash":   (*adminCall).importHash,
		"GET /crmgate/identity":                       (*adminCall).identities,
		"POST /crmgate/identity/{name}/test":          (*adminCall).testIdentity,
		"POST /crmgate/mail/test":                     (*adminCall).testMail,
		"POST /crmgate/sms/test":                      (*adminCall).testSMS,
		"PUT /crmgate/people/{email}/crm-login":       (*adminCall).setLogin,
		"GET /crmgate/sessions":                       (*adminCall).sessions,
		"DELETE /crmgate/sessions/{id}":               (*adminCall).endSession,
		"POST /crmgate/sessions/end":                  (*adminCall).endPerson,
		"GET /crmgate/locks":                          (*adminCall).locks,
		"POST /crmgate/locks":                         (*adminCall).lock,
		"DELETE /crmgate/locks/{id}":                  (*adminCall).unlock,
		"GET /crmgate/bans":                           (*adminCall).bans,
		"DELETE /crmgate/bans/{what}/{kind}/{id}":     (*adminCall).liftBan,
		"GET /crmgate/policy":                         (*adminCall).policy,
		"GET /crmgate/policy/revisions":               (*adminCall).revisions,
		"POST /crmgate/policy/check":                  (*adminCall).checkPolicy,
		"POST /crmgate/policy/explain":                (*adminCall).explain,
		"GET /crmgate/audit":                          (*adminCall).audit,
		"GET /crmgate/audit/verify":                   (*adminCall).verify,
		"GET /crmgate/audit/export":                   (*adminCall).export,
		"POST /crmgate/refresh":                       (*adminCall).refresh,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { serveCall(w, r, fn) })
	}
	return mux
}()

// serveAdmin finds the running app anew for every request: a router that kept it
// would go on talking to a configuration that failed to load.
func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return caddy.APIError{HTTPStatus: http.StatusForbidden, Err: errors.New("a request from another site")}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodDelete && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return caddy.APIError{HTTPStatus: http.StatusUnsupportedMediaType, Err: errors.New("send it with Content-Type: application/json, without a body too")}
	}
	if _, pattern := adminRoutes.Handler(r); pattern == "" {
		w = &noCall{w}
	}
	adminRoutes.ServeHTTP(w, r)
	return nil
}

// noCall makes an error of the API of what the router says when it finds no call.
type noCall struct{ http.ResponseWriter }

// WriteHeader writes the whole answer.
func (n *noCall) WriteHeader(status int) {
	err := errors.New("there is no such call")
	if status == http.StatusMethodNotAllowed {
		err = fmt.Errorf("this call takes %s", n.Header().Get("Allow"))
	}
	adminError(n.ResponseWriter, status, err)
}

// Write leaves out the router's text.
func (*noCall) Write(b []byte) (int, error) { return len(b), nil }

// maxAdminBody bounds a request to the admin API.
const maxAdminBody = 4 << 20

func serveCall(w http.ResponseWriter, r *http.Request, fn func(*adminCall) (any, error)) {
	c := &adminCall{w: w, r: r}
	r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
	app, err := activeApp()
	if err != nil {
		adminError(w, http.StatusServiceUnavailable, err)
		return
	}
	if c.app, c.rt = app, app.runtime.Load(); c.rt == nil {
		adminError(w, http.StatusServiceUnavailable, errNotOpen)
		return
	}
	out, err := fn(c)
	switch {
	case err != nil:
		adminError(w, adminStatus(err), err)
	case out != nil:
		adminJSON(w, http.StatusOK, out)
	}
}

// activeApp returns the app of the configuration in force.
func activeApp() (*App, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("crmgate")
	if err != nil {
		return nil, fmt.Errorf("finding the crmgate app: %w", err)
	}
	return app.(*App), nil //nolint:forcetypeassert // the id is ours
}

// badInput is an error about what the caller sent.
type badInput struct{ error }

func (b badInput) Unwrap() error { return b.error }

// adminStatus is the HTTP status of an error of the admin API.
func adminStatus(err error) int {
	var bad badInput
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large): // before what is wrong with the part that was read
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &bad), errors.Is(err, records.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, records.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, records.ErrConflict):
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
}

func adminError(w http.ResponseWriter, status int, err error) {
	adminJSON(w, status, map[string]string{"error": err.Error()})
}

func adminJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client is gone when this fails
}

// body decodes the request's body strictly.
func (c *adminCall) body(v any) error {
	dec := json.NewDecoder(c.r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); errors.Is(err, io.EOF) {
		return badInput{errors.New("reading the request: the body is empty; send a JSON object")}
	} else if err != nil {
		return badInput{fmt.Errorf("reading the request: %w", err)}
	}
	if dec.More() {
		return badInput{errors.New("reading the request: more than one document")}
	}
	return nil
}

// act audits an administrative act.
func (c *adminCall) act(kind, email, detail string) error {
	return c.app.act(c.r.Context(), audit.Record{Kind: kind, Email: email, Decision: "allow", Reason: "allowed", Detail: "admin api: " + detail})
}

// did audits an act whatever became of it: what was done before a step failed holds.
func (c *adminCall) did(kind, email, detail string, err error) error {
	if err != nil {
		detail += "; not all of it could be done"
		err = unfinished{err}
	}
	return errors.Join(err, c.act(kind, email, detail))
}

// unfinished is an act of which a part holds: whatever failed, it was not refused.
type unfinished struct{ error }

// refused says whether an act failed for what the caller sent, so that nothing was done.
func refused(err error) bool {
	return err != nil && adminStatus(err) != http.StatusServiceUnavailable
}

// info tells what is running.
func (c *adminCall) info() (any, error) {
	snap := c.app.Snapshot()
	_, version := caddy.Version()
	out := map[string]any{
		"account": c.app.Account, "node": c.app.Node, "caddy": version,
		"map": map[string]string{"name": snap.Map.Name, "digest": snap.Map.Digest}, "policy_digest": snap.Policy.Digest(),
		"people": len(c.rt.directory.People()), "sessions": len(c.rt.sessions.All(maxListed)),
	}
	if err := c.app.health(c.r.Context()); err != nil {
		out["unhealthy"] = err.Error()
	}
	return out, nil
}

// refresh reads the watched files now.
func (c *adminCall) refresh() (any, error) {
	errs := []error{c.app.sources.Refresh()}
	if f := c.app.watcher.file; f != nil {
		_, err := f.Refresh()
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, badInput{err}
	}
	return map[string]bool{"ok": true}, c.act("refresh", "", "read the watched files")
}

// Interface guards
var _ caddy.AdminRouter = (*Admin)(nil)
