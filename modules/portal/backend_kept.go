// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"net/http"
)

// KeptPosts are forms that were sent with a session that had ended, kept until
// their person has signed in again. Optional: without it nothing is kept.
//
// value is that of the cookie SetKept sets: what the browser proves itself by.
// Unknown, used, expired, another browser's and another person's are all refused
// with policy.NoSession.
type KeptPosts interface {
	// Kept describes one. It changes nothing and shows no value of the form.
	Kept(ctx context.Context, token, value string) (KeptPost, error)
	// SendKept takes it, once, and answers the request with what the CRM says to it
	// under the session of token; every stage of the gate judges it anew. On an error
	// nothing has been written.
	SendKept(w http.ResponseWriter, r *http.Request, token, value string) error
	// DropKept forgets it. One that is over is not an error.
	DropKept(ctx context.Context, value string) error
}

// KeptPost is what a person is shown before it is sent.
type KeptPost struct {
	Path string // without the query
	Size int64  // bytes
}
