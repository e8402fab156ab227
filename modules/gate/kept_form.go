// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/http"

	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// client is who sends the request, for the portal.
func (x *exchange) client() portal.Client {
	return portal.Client{IP: x.ip, UserAgent: x.r.UserAgent(), RequestID: x.d.RequestID, Host: x.r.Host}
}

// keepForm keeps a form that came with a session which has ended, so that it is
// not lost while its person signs in again, and sends the browser to do that. It
// says whether the request has been answered: only a form that a page of this very
// site sent, in a window, is kept; everything else is refused like any request.
func (x *exchange) keepForm(reason policy.Reason, detail string) bool {
	if x.ended == "" || x.r.Method != http.MethodPost || !fromOwnPage(x.r) ||
		reason != policy.NoSession && reason != policy.SessionExpired && reason != policy.SessionIdle {
		return false
	}
	value := x.app.KeepForm(x.r, x.r.URL.EscapedPath(), x.client(), true, x.app.WhoseSession(x.r.Context(), x.ended))
	if value == "" {
		return false
	}
	x.d.Allow, x.d.Reason, x.d.Detail = false, reason, detail+"; the form is kept"
	x.d.Facts.Status = http.StatusSeeOther
	r := x.r.WithContext(portal.WithClient(x.r.Context(), x.client()))
	x.app.Portal().RefuseKept(x.w, r, portal.Refusal{Reason: reason}, value)
	return true
}

// fromOwnPage says whether the browser proved that a page of this site made it
// open a page with this request. Without proof it did not.
func fromOwnPage(r *http.Request) bool {
	if s := r.Header.Get("Sec-Fetch-Site"); s != "" {
		return s == "same-origin" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	return r.Header.Get("Origin") != "" && hostOf(r.Header.Get("Origin")) == canonicalHostPort(r.Host)
}
