// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

// Action is what an operation does to its entity. The first seven are the
// columns of a permission template's matrix; the rest are kinds of request a
// map can name so that the gate treats them apart.
type Action string

// The actions of a permission template (product facts §1.11).
const (
	View         Action = "view"
	Create       Action = "create"
	Edit         Action = "edit"
	Delete       Action = "delete"
	Export       Action = "export"
	Import       Action = "import"
	MarkComplete Action = "mark_complete"
)

// Kind says what sort of request a route is, beside entity and action.
type Kind string

// The kinds a route can declare; Data is the default. Public and Static routes
// need no session; every other kind does, SignIn included only in that it is
// reached through the gate's own checks.
const (
	Data      Kind = "data"      // reads or writes records
	Feature   Kind = "feature"   // a screen or service without records: dashboard, reports, ...
	Public    Kind = "public"    // open to everyone: a tracking script, a landing page
	Static    Kind = "static"    // scripts, styles, images of the CRM's own pages
	Page      Kind = "page"      // a server-rendered page of the CRM without record data
	WhoAmI    Kind = "who_am_i"  // the CRM tells the caller who he is
	SignIn    Kind = "sign_in"   // the CRM's own sign-in
	SignOut   Kind = "sign_out"  // the CRM's own sign-out
	Schema    Kind = "schema"    // field and entity metadata
	Poll      Kind = "poll"      // background polling; never counts as activity
	Stream    Kind = "stream"    // SSE or a long poll
	Socket    Kind = "socket"    // a WebSocket
	SyncPull  Kind = "sync_pull" // mobile offline: records to the device
	SyncPush  Kind = "sync_push" // mobile offline: changes from the device
	CheckIn   Kind = "check_in"  // mobile: check-in and check-out
	Location  Kind = "location"  // mobile: co-ordinates
	Recording Kind = "recording" // mobile: call recordings
)

// Use is the way a request names a field.
type Use string

// The uses. Everything but Select and Write is a question about the value, so a
// restricted field in any of them is an oracle (leaks L60 to L66).
const (
	Write   Use = "write"   // the request stores a value
	Filter  Use = "filter"  // a condition
	Sort    Use = "sort"    // an order
	Select  Use = "select"  // a column asked for
	Group   Use = "group"   // grouping, aggregation
	Search  Use = "search"  // free text over several fields
	Lookup  Use = "lookup"  // the key by which a record is found, a query in disguise
	Unknown Use = "unknown" // the map knows a query is there and could not read it
)

// FieldUse is one mention of a field in a request.
type FieldUse struct {
	Entity string // entity the field belongs to
	Field  string // the map's name of the field, or "" when the map does not know it
	Name   string // the name as the request wrote it
	Use    Use
	Empty  bool   // Write: the value is null or ""
	Op     string // Filter, Lookup: the operator as the request wrote it; "" when not known
	Given  *Given // the value written or looked for; nil when the map does not say where it stands
}

// Operation is what one request, or one item of a batch, does to the CRM. It is
// found by the resource map and never by the HTTP method alone: this family of
// CRMs deletes by GET and reads by POST.
//
// The zero value is no operation; Map.Match returns ErrUnmapped instead of it.
type Operation struct {
	ID      string     // the route's id in the map, such as "lead.search"
	Kind    Kind       // Data unless the route says otherwise
	Entity  string     // "" for kinds without records
	Action  Action     // "" for kinds without records
	Bulk    bool       // the route is a bulk route, or names more than one record
	Count   int        // records named or written; 0 when not known from the request
	Records []string   // record ids, as the request wrote them
	Types   []string   // activity or task types
	Parents []Ref      // records the operation hangs on: the lead of an activity
	Feature string     // the feature switch it falls under, "" for none
	Fields  []FieldUse // fields named by the request
	NoTouch bool       // does not count as activity for the idle timeout
	Item    int        // index within a batch, 0 otherwise
	Batched bool       // it is of a batch, and the request's own query is not its
	Part    bool       // it is of a batch of parts, and so is its answer
	Route   *Route     // where it came from; response shape, paging, not-found shape

	Also      bool     // a further effect of the item's first operation, whose Route describes the answer
	Limit     int      // records asked for at most; 0 when the request does not say
	Columns   []string // columns by position, when the answer is a matrix of what was asked for
	Callbacks []string // URLs the CRM is asked to send results to
	Bases     []string // times or versions the client's changes build on, one per record written

	from *reading // what a read of the record's present state is made from
}

// Ref names one record of one entity.
type Ref struct{ Entity, ID string }
