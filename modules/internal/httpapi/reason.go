// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"errors"
	"fmt"
	"net"

	"github.com/crmgate/crmgate/modules/internal/address"
)

// reason words a failure without quoting the request: its URL may hold a password.
func reason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, address.ErrNotPublic):
		return "the name leads to a private, local or special address that is not listed"
	case isTimeout(err):
		return "there was no answer in time"
	case errors.As(err, &dns):
		return "its name cannot be looked up"
	case isTLS(err):
		return "TLS does not hold: " + tlsReason(err)
	case errors.As(err, &op):
		return fmt.Sprintf("the connection failed (%s)", op.Op)
	}
	return "the connection or the answer broke"
}
