// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"crypto/rand"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// NewRequestID returns the id a request has in the audit and on refusals: 18
// characters that can be read out over the telephone.
func NewRequestID() string { return audit.NewRequestID(time.Now(), rand.Reader) }
