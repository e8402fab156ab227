// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"crypto/rand"
	"encoding/base32"
)

var requestIDs = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewRequestID returns 80 random bits in 16 characters that can be read out over
// the telephone: digits and lower-case letters without i, l, o and u.
func NewRequestID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails; it stops the process instead
	return requestIDs.EncodeToString(b[:])
}
