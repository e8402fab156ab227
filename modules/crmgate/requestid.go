// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"math/rand/v2"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// NewRequestID returns the id a request has in the audit and on refusals: 18
// characters that can be read out over the telephone.
func NewRequestID() string { return RequestID(time.Now()) }

// RequestID returns the id of a request that came at some time. It tells requests
// apart and is no secret.
func RequestID(at time.Time) string {
	return audit.RequestIDOf(at, rand.Uint64()) //nolint:gosec // see above
}
