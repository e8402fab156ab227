// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer is the largest answer of a provider that is read; honest ones have a
// few KiB.
const maxAnswer = 1 << 20

// keysEvery is how often keys are fetched at most, whoever asks for whichever key.
const keysEvery = 10 * time.Second

var (
	errRedirect = errors.New("the provider redirects; its endpoints must answer themselves")
	errTooLarge = errors.New("the provider's answer is too large")
)

// transport reads answers whole and bounded, and fetches one address, that of the
// keys, only so often: a token with an unknown key costs anybody who sends it
// nothing.
type transport struct {
	next    http.RoundTripper
	keysURL atomic.Pointer[string]

	mu      sync.Mutex // held while keys are fetched: everybody waits for the same
	fetched time.Time
	keys    *http.Response // without its body
	body    []byte
	err     error
	now     func() time.Time
}

func newTransport(next http.RoundTripper) *transport {
	if next == nil {
		own := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
		own.MaxResponseHeaderBytes = 64 << 10
		next = own
	}
	return &transport{next: next, now: time.Now}
}

// RoundTrip does one request. The body of its answer is in memory.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if keys := t.keysURL.Load(); keys == nil || r.Method != http.MethodGet || r.URL.String() != *keys {
		res, body, err := t.read(r)
		if err != nil {
			return nil, err
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
		return res, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.now(); t.fetched.IsZero() || now.Sub(t.fetched) >= keysEvery || now.Before(t.fetched) {
		t.fetched = now
		t.keys, t.body, t.err = t.read(r)
	}
	if t.err != nil {
		return nil, t.err
	}
	res := *t.keys
	res.Body = io.NopCloser(bytes.NewReader(t.body))
	return &res, nil
}

func (t *transport) read(r *http.Request) (*http.Response, []byte, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // http.Client says what it was doing
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading the provider's answer: %w", err)
	case len(body) > maxAnswer:
		return nil, nil, errTooLarge
	}
	return res, body, nil
}

// watchKeys says which address is that of the keys.
func (t *transport) watchKeys(u string) {
	if old := t.keysURL.Swap(&u); old != nil && *old == u {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetched, t.keys, t.body, t.err = time.Time{}, nil, nil, nil
}
