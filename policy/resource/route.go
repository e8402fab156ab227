// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

// Route is one thing a CRM's HTTP can be asked to do. It is immutable.
type Route struct {
	ID          string            // unique: lead.search
	Kind        Kind              // Data unless the map says otherwise
	On          []Endpoint        // methods and paths
	Hosts       []string          // hosts it answers on, lower case; empty for any
	When        []Condition       // further conditions, all of them must hold
	Entity      string            // entity, or a template such as "{model}" filled with a capture; "" for none
	Only        []string          // with a template in Entity: the entities it may stand for; empty for all
	Actions     []Action          // what it does; an upsert does two things
	Also        []Also            // further effects on other entities
	Types       []string          // constant activity or task types
	Bulk        bool              // bulk even for one record
	Feature     string            // feature switch, "" for none
	NoTouch     bool              // does not count as activity
	Write       WriteMode         // how written fields change the record, "" when nothing is written
	Request     *RequestShape     // never nil
	Response    *Response         // never nil
	Batch       *Batch            // the body is a list of requests
	ReadBack    *ReadBack         // how to read the record before a write, nil when the map does not say
	Conditional *Conditional      // a conditional write the CRM offers
	FollowUp    *FollowUp         // the answer only promises a result
	Grants      map[string]Source // SignIn: parts of the CRM's session, see SessionShape.Form

	line   int
	column int
}

// Endpoint is one method and path pattern. A path is literal segments, "{name}"
// captures of one segment, segments with literal parts ("{id}.json"), and "**"
// at the end for any rest, the empty one included. HEAD reaches GET endpoints.
type Endpoint struct {
	Method string
	Path   string // canonical, with captures
}

// WriteMode says what a write does to fields it does not name.
type WriteMode string

// The write modes.
const (
	Patch   WriteMode = "patch"   // leaves them
	Replace WriteMode = "replace" // erases them
	Upsert  WriteMode = "upsert"  // leaves them, and creates the record when there is none
)

// Source is a place in a request. Exactly one of the names is set, Body being
// chosen when InBody is.
type Source struct {
	Query   string // query parameter, compared folded
	Header  string // header field
	Capture string // capture of the path or of a condition
	Form    string // form field, compared folded
	InBody  bool
	Body    Pointer // place in a JSON body
	Reply   bool    // Grants only: Body is a place in the JSON answer
}

// String names the source as a map writes it.
func (s Source) String() string {
	switch {
	case s.Reply:
		return "reply " + rootedPointer(s.Body)
	case s.InBody:
		return "body " + rootedPointer(s.Body)
	case s.Query != "":
		return "query " + s.Query
	case s.Header != "":
		return "header " + s.Header
	case s.Form != "":
		return "form " + s.Form
	}
	return "capture " + s.Capture
}

func rootedPointer(p Pointer) string {
	if s := p.String(); s != "" {
		return s
	}
	return "/"
}

// Condition holds when the value at a source matches a template, or, for a
// place in a body, when it is of a JSON type. A source that is not there never
// holds; a source that is there twice never holds.
type Condition struct {
	Source Source
	Is     Template // captures in it are the route's captures; empty with Type
	Type   string   // object, array, string, number, boolean, null; "" for Is
}

// Also is a further effect of a route, checked like any other operation.
type Also struct {
	Entity  string
	Actions []Action
	If      []Source // it happens when one of these has a value; always when empty
}

// Batch is a body that lists requests. Each item is matched by itself: by its
// own method and path when the map says where they stand, by the batch's own
// otherwise. A batch within a batch is refused.
//
// A batch of Parts is a multipart body of HTTP requests, and sets of them, as of
// OData. Its answer is of the same kind.
type Batch struct {
	Parts  bool    // nothing below but Max is set
	Items  Pointer // the list, ends in "*"
	Max    int     // items allowed, default 50
	Method Pointer // within an item; only with Path
	Path   Pointer // within an item
	Body   Pointer // within an item; the item itself when empty
	URL    bool    // Method, Path and Body are declared: items are whole requests
}

// ReadBack says how records are read as they are now: those a request writes, and
// those that tell whose another record is.
//
// Args and Body are texts in which {record_id} stands for the id of the one record,
// {entity} for its entity's name on the wire, and {name} for a capture of the
// request at hand. In Body {record_ids} stands for a JSON list of ids and {fields}
// for a JSON list of wire names; every text is written into Body as JSON. With
// {record_ids} up to Max records are read at once, otherwise one.
type ReadBack struct {
	Route   string            // id of a route that reads records of the entity
	Args    map[string]string // by query parameter or capture of that route
	Body    string            // JSON, "" for none
	Numbers bool              // ids are numbers in Body
	Max     int               // records read at once, at most MaxReadBack

	line, column int
}

// MaxReadBack is how many records may be read before one write, or for one answer.
const MaxReadBack = 200

// Conditional is a write the CRM itself makes conditional.
type Conditional struct {
	Kind   string // fill: only empty fields are written; match: only when nothing changed
	Header string // header field to set
	Value  string // its value; "{etag}" is filled in
}

// FollowUp says where an asynchronous answer is fetched later.
type FollowUp struct {
	Route string // id of the route that fetches the result
}
