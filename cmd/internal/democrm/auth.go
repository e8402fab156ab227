// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Headers of the key pair and of the account's key for asynchronous calls.
const (
	headerAccess = "X-Lsq-Accesskey"
	headerSecret = "X-Lsq-Secretkey"
	headerAPIKey = "X-Api-Key"
)

// keyPair reads the key pair of a request: the headers when there are any,
// else the query, whose names are taken in any case.
func keyPair(r *http.Request) (access, secret string) {
	access, secret = r.Header.Get(headerAccess), r.Header.Get(headerSecret)
	if access != "" || secret != "" {
		return access, secret
	}
	return queryValue(r, "accessKey"), queryValue(r, "secretKey")
}

// queryValue returns a query parameter by its name in any case.
func queryValue(r *http.Request, name string) string {
	query := r.URL.Query()
	if v := query.Get(name); v != "" {
		return v
	}
	for key, values := range query {
		if strings.EqualFold(key, name) && values[0] != "" {
			return values[0]
		}
	}
	return ""
}

// authenticate finds the person a request acts as. A missing half, an unknown
// access key, a wrong secret and a deactivated person all give the same 401.
func (c *CRM) authenticate(r *http.Request) (*user, error) {
	access, secret := keyPair(r)
	c.mu.RLock()
	u := c.keys[access]
	c.mu.RUnlock()
	if u == nil || secret == "" || u.status != 0 ||
		subtle.ConstantTimeCompare([]byte(u.secretKey), []byte(secret)) != 1 {
		return nil, unauthorised("Authentication failed: the access key or the secret key is not valid")
	}
	return u, nil
}

// limiter counts the calls of each access key in windows of five seconds.
type limiter struct {
	max    int
	mu     sync.Mutex
	window int64
	calls  map[string]int
}

// allow counts one call. Always true without a limit.
func (l *limiter) allow(key string, now time.Time) error {
	if l.max == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if window := now.Unix() / 5; window != l.window || l.calls == nil {
		l.window, l.calls = window, map[string]int{}
	}
	l.calls[key]++
	if l.calls[key] > l.max {
		e := fail("APIRateLimitExceeded", "API calls exceeded the limit of %d in 5 second(s)", l.max)
		e.status = http.StatusTooManyRequests
		return e
	}
	return nil
}
