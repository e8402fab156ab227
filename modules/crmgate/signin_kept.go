// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/keptpost"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// Forms that were sent with a session that had ended. The browser's cookie holds
// the id and the secret of one, with a dot in between.

// KeepForm keeps a form and returns the value of the cookie it can be had back by;
// "" when it is nothing to be kept.
func (a *App) KeepForm(r *http.Request, path string, client portal.Client, sameSite bool, personID string) string {
	d := a.doors.Load()
	if d == nil {
		return ""
	}
	form := keptpost.Kept{
		Method: r.Method, Path: path, Query: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type"),
		ContentEncoding: r.Header.Get("Content-Encoding"), PersonID: personID, Client: client.IP, SameSite: sameSite,
	}
	if d.kept.Worth(form, r.ContentLength) != nil {
		return ""
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, keptpost.MaxBytes+1))
	if err != nil || len(body) > keptpost.MaxBytes {
		return ""
	}
	form.Body = body
	id, secret, err := d.kept.Keep(r.Context(), form)
	if err != nil {
		a.logger.Info("a form could not be kept", zap.Error(err))
		return ""
	}
	return id + "." + secret
}

// endedAt remembers for a while whose a session was that has ended.
const endedAt = "session-ended/" // + session id; the value is the person's id

// WhoseSession returns the id of the person a session was given to that does not
// stand any more; "" when nobody knows. It proves nothing.
func (a *App) WhoseSession(ctx context.Context, token string) string {
	if id := a.Sessions().Whose(token); id != "" {
		return id
	}
	sum := sha256.Sum256([]byte(token))
	e, err := a.runtime.Load().state.Get(ctx, endedAt+hex.EncodeToString(sum[:]))
	if err != nil {
		return ""
	}
	return string(e.Value)
}

// keptRefused turns an error of the kept forms into what the portal shows.
func (b *backend) keptRefused(err error) error {
	if errors.Is(err, keptpost.ErrNotFound) || errors.Is(err, keptpost.ErrPerson) {
		return refuse(policy.NoSession)
	}
	b.logger.Error("handing out a kept form failed", zap.Error(err))
	return refuse(policy.StoreUnavailable)
}

// Kept describes one.
func (b *backend) Kept(ctx context.Context, token, value string) (portal.KeptPost, error) {
	a, _, err := b.self(ctx, token)
	if err != nil {
		return portal.KeptPost{}, err
	}
	id, secret, _ := strings.Cut(value, ".")
	shown, err := a.doors.kept.Show(ctx, id, secret)
	if err != nil {
		return portal.KeptPost{}, b.keptRefused(err)
	}
	if shown.PersonID != "" && shown.PersonID != a.person.ID {
		return portal.KeptPost{}, b.keptRefused(keptpost.ErrPerson)
	}
	return portal.KeptPost{Path: shown.Path, Size: int64(shown.Size)}, nil
}

type replayKey struct{}

// WithReplay gives the gate's own pages the way back through all of its stages.
func WithReplay(ctx context.Context, through func(w http.ResponseWriter, r *http.Request) error) context.Context {
	return context.WithValue(ctx, replayKey{}, through)
}

// SendKept takes a form, once, and sends it through every stage of the gate under
// the session of the request, as if the browser had sent it now.
func (b *backend) SendKept(w http.ResponseWriter, r *http.Request, token, value string) error {
	ctx := r.Context()
	through, ok := ctx.Value(replayKey{}).(func(http.ResponseWriter, *http.Request) error)
	if !ok {
		return refuse(policy.Internal)
	}
	a, _, err := b.self(ctx, token)
	if err != nil {
		return err
	}
	id, secret, _ := strings.Cut(value, ".")
	form, err := a.doors.kept.Take(ctx, id, secret, a.person.ID)
	if err != nil {
		return a.noted(ctx, "kept_form", "", b.keptRefused(err))
	}
	if err := a.noted(ctx, "kept_form", "sent to "+form.Path, nil); err != nil {
		return err
	}
	again := r.Clone(context.WithValue(ctx, replayKey{}, nil))
	again.Method, again.Body, again.ContentLength, again.TransferEncoding = form.Method, io.NopCloser(bytes.NewReader(form.Body)), int64(len(form.Body)), nil
	path, err := url.PathUnescape(form.Path)
	if err != nil {
		return refuse(policy.Internal)
	}
	u := *r.URL
	u.Path, u.RawPath, u.RawQuery = path, form.Path, form.Query
	again.URL, again.RequestURI = &u, u.RequestURI()
	again.Form, again.PostForm, again.MultipartForm = nil, nil, nil
	again.Header.Set("Content-Type", form.ContentType)
	again.Header.Del("Content-Length")
	if err := through(w, again); err != nil {
		b.logger.Error("sending a kept form failed", zap.Error(err))
		return refuse(policy.UpstreamFailed)
	}
	return nil
}

// DropKept forgets one.
func (b *backend) DropKept(ctx context.Context, value string) error {
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return err
	}
	id, secret, _ := strings.Cut(value, ".")
	if err := a.doors.kept.Drop(ctx, id, secret); err != nil && !errors.Is(err, keptpost.ErrNotFound) {
		return b.keptRefused(err)
	}
	return nil
}
