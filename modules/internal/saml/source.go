// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How often the provider's metadata is asked for at most.
const (
	fetchTimeout = 10 * time.Second
	// retryGap is the time between two tries while there is no metadata at all:
	// longer than a try, so that no line of people waits for one try each.
	retryGap = fetchTimeout + 5*time.Second
	// unknownGap is the time between two reads because of a signature nobody in the
	// metadata made: a stranger who sends such answers must not make the gate ask
	// the provider for each.
	unknownGap = time.Minute
)

// source keeps the provider's metadata: read when it is needed first, read again
// in the background when it has grown old, and at once when a signature is by
// nobody it knows. What was read last and could be used stays until something
// better comes, but not beyond its validUntil, and from a URL not beyond MaxStale.
type source struct {
	where  string
	file   bool
	every  time.Duration
	rules  metadataRules
	client *http.Client

	current atomic.Pointer[idp]
	busy    atomic.Bool
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // one read at a time; guards the rest
	tried   time.Time
	failure error
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func newSource(cfg Config) (*source, error) {
	s := &source{where: cfg.Metadata, every: cfg.Refresh, rules: metadataRules{entityID: cfg.EntityID}}
	var err error
	if s.rules.pins, err = parseThumbprints(cfg.Thumbprints); err != nil {
		return nil, err
	}
	if s.rules.signedBy, err = parseThumbprints(cfg.MetadataThumbprints); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	u, err := url.Parse(cfg.Metadata)
	switch {
	case err == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())) && u.Host != "" && u.User == nil:
		s.client = &http.Client{
			Timeout: fetchTimeout,
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
				DisableKeepAlives:      true,
				MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects, which is refused") },
		}
	case err == nil && u.Scheme == "http":
		return nil, fmt.Errorf("metadata %q must be https: whoever can change it on its way can sign in as anybody", cfg.Metadata)
	case err == nil && len(u.Scheme) > 1:
		return nil, fmt.Errorf("metadata %q is neither an https URL nor a file", cfg.Metadata)
	default:
		s.file = true
		now := time.Now()
		p, err := s.read(s.ctx, now)
		if err != nil {
			return nil, err
		}
		if now.After(p.until) && !p.until.IsZero() {
			return nil, fmt.Errorf("the metadata %s was valid until %s only", s.where, p.until.Format(time.RFC3339))
		}
		s.current.Store(p)
	}
	return s, nil
}

func (s *source) close() {
	s.stop()
	s.running.Wait()
}

// usable says whether metadata may still be believed.
func (s *source) usable(p *idp, now time.Time) bool {
	return p != nil && (p.until.IsZero() || now.Before(p.until)) && (s.file || now.Before(p.read.Add(MaxStale)))
}

// get returns the metadata as it is known.
func (s *source) get(now time.Time, log *slog.Logger) (*idp, error) {
	p := s.current.Load()
	if !s.usable(p, now) {
		return s.refresh(now, retryGap)
	}
	if now.Sub(p.read) >= s.every && s.busy.CompareAndSwap(false, true) {
		s.running.Go(func() {
			defer s.busy.Store(false)
			if _, err := s.refresh(now, min(s.every, time.Minute)); err != nil && s.ctx.Err() == nil && log != nil {
				log.Warn("the identity provider's metadata could not be read again; what was read last stays", "error", err)
			}
		})
	}
	return p, nil
}

// refresh reads the metadata unless that was tried less than gap ago. On failure
// it returns what is known while that may be believed, with the error. It reads for
// everybody: a visitor who goes away is no failure of the provider.
func (s *source) refresh(now time.Time, gap time.Duration) (*idp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.current.Load()
	if !s.usable(known, now) {
		known = nil
	}
	if !s.tried.IsZero() && now.Sub(s.tried).Abs() < gap { // before: somebody who waited for the lock
		if known != nil {
			return known, nil
		}
		if s.failure != nil {
			return nil, s.failure
		}
	}
	s.tried = now
	p, err := s.read(s.ctx, now)
	if err == nil && !s.usable(p, now) {
		err = fmt.Errorf("the metadata %s was valid until %s only", s.where, p.until.Format(time.RFC3339))
	}
	s.failure = err
	if err != nil {
		return known, err
	}
	s.current.Store(p)
	return p, nil
}

// unknownSigner reads the metadata again because a signature is by nobody it
// knows, and says whether the certificates are others now.
func (s *source) unknownSigner(before *idp, now time.Time) (*idp, bool) {
	p, err := s.refresh(now, unknownGap)
	if err != nil || p == nil {
		return before, false
	}
	same := len(p.certs) == len(before.certs)
	for _, c := range p.certs {
		same = same && slices.ContainsFunc(before.certs, c.Equal)
	}
	return p, !same && p.entityID == before.entityID
}

func (s *source) read(ctx context.Context, now time.Time) (*idp, error) {
	b, err := s.bytes(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the metadata %s: %w", s.where, err)
	}
	rules := s.rules
	rules.now = now
	p, err := parseMetadata(b, rules)
	if err != nil {
		return nil, fmt.Errorf("reading the metadata %s: %w", s.where, err)
	}
	p.read = now
	return p, nil
}

func (s *source) bytes(ctx context.Context) ([]byte, error) {
	if s.file {
		f, err := os.Open(s.where)
		if err != nil {
			return nil, errors.Unwrap(err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, MaxMetadata+1))
		if len(b) <= MaxMetadata {
			b = bytes.TrimSpace(b) // files end in a new line
		}
		return b, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.where, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.8")
	res, err := s.client.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxMetadata+1))
	return bytes.TrimSpace(b), err
}
