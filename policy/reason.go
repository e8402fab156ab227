// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

// Reason says why a request was let through or refused. The list is closed: it
// is what audit, metrics and explain show, and the one place where an HTTP
// status follows from a decision.
type Reason string

// The reasons. The comment says who can mend it.
const (
	Allowed            Reason = "allowed"
	AllowedPublic      Reason = "allowed_public"      // a public or static route, or the gate's own page
	EarlyData          Reason = "early_data"          // client: TLS 1.3 0-RTT, asked to repeat
	BadRequest         Reason = "bad_request"         // client: path, header or body that no honest client sends
	ClientUnknown      Reason = "client_unknown"      // operator: no client address, or a trusted proxy names none
	IPNotAllowed       Reason = "ip_not_allowed"      // admin: an allow-list does not hold the address
	IPReputation       Reason = "ip_reputation"       // admin: Tor, anonymous proxy, hosting, ...
	Throttled          Reason = "throttled"           // client: too many requests or attempts
	NoSession          Reason = "no_session"          // person: sign in
	SessionExpired     Reason = "session_expired"     // person: absolute lifetime is over
	SessionIdle        Reason = "session_idle"        // person: idle too long
	Locked             Reason = "locked"              // admin: a lock holds
	Deactivated        Reason = "deactivated"         // admin: the person is not active
	WrongCredentials   Reason = "wrong_credentials"   // person: sign-in failed
	SecondFactor       Reason = "second_factor"       // person: a second factor is due
	StepUp             Reason = "step_up"             // person: prove it once more before a sensitive act
	CrossSite          Reason = "cross_site"          // client: a state-changing request from another site
	Unmapped           Reason = "unmapped"            // integrator: the map has no route for this
	Unreadable         Reason = "unreadable"          // integrator: the map cannot read this request
	ActionDenied       Reason = "action_denied"       // admin: the template gives no access
	BulkDenied         Reason = "bulk_denied"         // admin: the template gives no bulk access
	FeatureDenied      Reason = "feature_denied"      // admin: the feature is switched off
	FieldDenied        Reason = "field_denied"        // admin: a restricted field is written
	QueryDenied        Reason = "query_denied"        // admin: a restricted field is queried
	RowDenied          Reason = "row_denied"          // admin: the record is outside the row scope
	PreconditionFailed Reason = "precondition_failed" // client: a conditional write on a body that was rewritten
	CRMSession         Reason = "crm_session"         // client: a CRM session bound to somebody else
	CRMKeyMissing      Reason = "crm_key_missing"     // admin: the person has no key pair for the CRM
	NoDecision         Reason = "no_decision"         // operator: a site without the gate
	Unwritable         Reason = "unwritable"          // operator: the audit cannot be written
	StoreUnavailable   Reason = "store_unavailable"   // operator: state or records store away
	UpstreamShape      Reason = "upstream_shape"      // integrator: an answer the map does not expect
	UpstreamCoding     Reason = "upstream_coding"     // integrator: an answer in a coding nobody reads
	UpstreamFailed     Reason = "upstream_failed"     // operator: the CRM did not answer
	Internal           Reason = "internal"            // us
)

// reasons maps every reason to its HTTP status and to the generic sentence a
// client may read. Detail belongs in audit and explain.
var reasons = map[Reason]struct {
	status int
	text   string
}{
	Allowed:            {200, "Allowed."},
	AllowedPublic:      {200, "Allowed."},
	EarlyData:          {425, "Please send the request again."},
	BadRequest:         {400, "The request cannot be processed."},
	ClientUnknown:      {403, "Access is not possible from your network."},
	IPNotAllowed:       {403, "Access is not possible from your network."},
	IPReputation:       {403, "Access is not possible from your network."},
	Throttled:          {429, "Too many requests. Please wait a moment."},
	NoSession:          {401, "Please sign in."},
	SessionExpired:     {401, "Your session has ended. Please sign in again."},
	SessionIdle:        {401, "Your session ended because it was idle. Please sign in again."},
	Locked:             {403, "Your access is locked at the moment."},
	Deactivated:        {401, "Please sign in."},
	WrongCredentials:   {401, "E-mail or password is not right."},
	SecondFactor:       {401, "A second step is needed to sign in."},
	StepUp:             {401, "Please confirm that it is you."},
	CrossSite:          {403, "The request came from another site and was refused."},
	Unmapped:           {403, "You do not have access to this."},
	Unreadable:         {400, "The request cannot be processed."},
	ActionDenied:       {403, "You do not have access to this."},
	BulkDenied:         {403, "You do not have access to this."},
	FeatureDenied:      {403, "You do not have access to this."},
	FieldDenied:        {403, "You may not change one of these fields."},
	QueryDenied:        {403, "You may not search, filter or sort by one of these fields."},
	RowDenied:          {404, "There is no such record."},
	PreconditionFailed: {412, "The record cannot be changed on this condition."},
	CRMSession:         {403, "Please sign in again."},
	CRMKeyMissing:      {403, "Your account is not connected to the CRM yet."},
	NoDecision:         {403, "You do not have access to this."},
	Unwritable:         {503, "The service is not available at the moment."},
	StoreUnavailable:   {503, "The service is not available at the moment."},
	UpstreamShape:      {502, "The CRM gave an answer that cannot be shown."},
	UpstreamCoding:     {502, "The CRM gave an answer that cannot be shown."},
	UpstreamFailed:     {502, "The CRM cannot be reached at the moment."},
	Internal:           {500, "Something went wrong."},
}

// Status returns the HTTP status that goes with the reason; an unknown reason is
// 500, never a success.
func (r Reason) Status() int {
	if x, ok := reasons[r]; ok {
		return x.status
	}
	return 500
}

// Text returns the sentence a client may read.
func (r Reason) Text() string {
	if x, ok := reasons[r]; ok {
		return x.text
	}
	return reasons[Internal].text
}

// Reasons returns every reason, for docs and metrics.
func Reasons() []Reason {
	out := make([]Reason, 0, len(reasons))
	for r := range reasons {
		out = append(out, r)
	}
	return out
}
