// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package plan holds the compiled form of "what this template set sees in this
// operation's answer". A plan is built once by package policy, is immutable
// afterwards, and is shared by every request it applies to; the engines that
// rewrite bodies read it and nothing else.
//
// A plan describes a body by a tree of nodes. What the tree does not reach is
// not forgotten: it is walked with the table of the nearest entity, so that a
// masked field is masked at any depth, and names nobody declared follow the
// entity's rule for unknown fields.
package plan

import "github.com/crmgate/crmgate/policy/mask"

// Effect is what happens to one value.
type Effect uint8

// The effects, in order of restriction: merging takes the larger one.
const (
	Show   Effect = iota // copied byte for byte
	Detect               // copied, with anything that looks like personal data masked in place
	Mask                 // replaced by Treatment.Mask
	Hide                 // removed, name and all
)

// Treatment is what happens to one field. The zero value shows the value.
type Treatment struct {
	Field  string     // the map's name of the field, for audit and explain; "" for unknown fields
	Effect Effect     //
	Mask   *mask.Func // set when Effect is Mask
	Text   *Node      // the value is text that holds a document of its own (JSON in a string); nil if not
}

// Entity is the field table of one entity under one template set.
//
// A name that is in neither Fields nor covered by Unknown cannot occur: Unknown
// is always set, and is what an engine applies to every name it does not know.
type Entity struct {
	Name    string
	Fields  map[string]*Treatment // by folded name, see resource.Fold
	Unknown *Treatment            // for names not in Fields
}

// Treat returns the treatment of a folded name; it never returns nil.
func (e *Entity) Treat(folded []byte) *Treatment {
	if t := e.Fields[string(folded)]; t != nil {
		return t
	}
	return e.Unknown
}

// Node says what one value of a body is.
//
// Exactly one of Record, Pairs, Fields, Total, Link and Cursor may be set; a node with
// none of them is a container. A body whose value has another kind than its node (an
// object where an array was declared) is refused, never guessed at.
type Node struct {
	Members  map[string]*Node // object members by folded name
	Elements *Node            // array elements; also the members of a map keyed by id when Keyed
	Keyed    bool             // an object whose member names are ids, each value an Elements
	Record   *Record          // an object that is a record, or a scalar that is a record's id
	Pairs    *Pairs           // an array of name/value objects: fields of the enclosing record
	Fields   bool             // an object whose members are fields of the enclosing record
	Matrix   *Matrix          // rows by position
	Total    string           // a number that counts the records of the set of this name
	Link     bool             // a text is the address of something at the CRM, which is followed at the gate
	Cursor   bool             // a text is where the CRM goes on with a list
	Entity   *Entity          // table for everything below that no other node claims; nil inherits
	Form     *Form            // of Treatment.Text: the text holds the document in another form than JSON; nil if not
}

// Form is how a text holds fields of its own, where it is not JSON: the base64 of a
// document or of another text, or names and values, as in a=1&b=2. A text that is not
// in its form is masked fully.
type Form struct {
	Base64  bool
	Between string // delimiter of two pairs
	Is      string // between a name and its value
	Escaped bool   // names and values have the escapes of forms: %2B, and + for a space
}

// Record is one record: the unit of row filtering and of buffering.
type Record struct {
	Entity *Entity
	Set    string           // name of the set it counts towards, see Node.Total
	Rows   *Rows            // nil: every record is visible
	Nested map[string]*Node // members that are not plain fields, by folded name
	Scalar bool             // the value is not an object but the id itself
	Free   bool             // Plan.MaxRows does not count it: it belongs to a record that is counted
}

// Pairs describes name/value lists such as {"Attribute":"Phone","Value":"..."},
// members in either order. Members that are neither name nor value are copied
// with a shown or masked pair; a hidden pair goes as a whole.
type Pairs struct {
	Name   []string         // folded member names that may hold the field's name
	Value  []string         // folded member names that hold values: Value, OldValue, NewValue
	Nested map[string]*Node // members that hold further pairs of the same record
}

// Matrix describes rows by position: a list of columns and a list of rows.
type Matrix struct {
	Columns []string // column names when known from the request
	At      string   // folded member holding the column names when the answer has them
	Rows    string   // folded member holding the rows; "" when the value itself is the rows
	Set     string   // name of the set that its rows count towards, see Plan.MaxRows
	Entity  *Entity
}

// Rows decides which records a viewer may see. A record whose owner fields are
// all absent or empty is not visible: the way is refused, not guessed.
type Rows struct {
	Scope Scope
	Owner []string  // folded names of the members that hold the owner's id
	Via   []Via     // ways to the owner of a record that names none, in order of preference
	Where Condition // what must hold besides; nil for nothing
}

// Via is a member that holds the id of a record of another entity, whose owner
// counts for this one: see Viewer.Parents.
type Via struct {
	At string // folded name
	To Parent
}

// Parent is a kind of record that others hang on: its entity, and whose records of
// it count.
type Parent struct {
	Entity string
	Scope  Scope // Own or Group
}

// Value is one scalar of a record. The zero Value is a member that is not there.
type Value struct {
	Kind byte   // as JSON writes its first character: '"', '0' for numbers, 't', 'f', 'n', '{', '['
	Text string // text decoded, numbers as written
}

// Condition is what must hold for a record to be visible, beside its owner. It is
// immutable and safe for concurrent use. A record is visible only when Holds says
// true; an error says why nobody can tell, in names and never in values.
type Condition interface {
	Needs() []string // folded names of the members it looks at
	Wire() []string  // the same fields by the names the CRM is asked for them with
	Holds(v *Viewer, member func(folded string) Value) (bool, error)
}

// Scope is a template's row scope. Merging takes the larger value.
type Scope uint8

// The scopes, in order of restriction.
const (
	All   Scope = iota // every record
	Group              // records of the viewer and of members of groups he may view
	Own                // the viewer's own records
	None               // no record
)

// Viewer is the person a plan is applied for: the owner ids that count as his
// own and as his groups'. Ids are compared folded (case, '-', '_', '{', '}').
type Viewer struct {
	Own   map[string]struct{}
	Group map[string]struct{} // includes Own
	User  any                 // what conditions know of the person; nil when there are none

	// Parents are the records of other entities that count as the viewer's, by folded
	// id: those a row's Via may lead to. What is not in it is not visible.
	Parents map[Parent]map[string]struct{}
	// Ask, when set, is told of every record that a row's Via leads to.
	Ask func(to Parent, id []byte)
}

// Canned is an answer of the CRM's own shape that the gate gives in its place.
type Canned struct {
	Status      int
	ContentType string
	Body        []byte
}

// Format names the engine that reads a body.
type Format string

// The formats; any other declared format is refused for plans that rewrite.
//
// In formats other than JSON every step of the tree keeps its meaning as far as
// there is something like it: a line or an event is a document, a row of a table
// is an element of the root, an element or attribute of XML is a member by its
// local name.
const (
	JSON      Format = "json"
	NDJSON    Format = "ndjson"    // a JSON document a line
	JSONSeq   Format = "json_seq"  // JSON documents, each behind a record separator (RFC 7464)
	SSE       Format = "sse"       // events whose data are JSON documents
	Multipart Format = "multipart" // parts that are JSON documents each
	HTML      Format = "html"
	WebSocket Format = "websocket" // messages that are JSON documents each
	CSV       Format = "csv"
	XLSX      Format = "xlsx"
	XML       Format = "xml"
	NoBody    Format = "none"
	Opaque    Format = "opaque" // bytes nobody reads: files, images, pages without records
)

// Element is a place in a page that holds a field, or a script that holds JSON.
// An element is one when all that is set of Tag to Attrs holds for it.
type Element struct {
	Tag     string            // in lower case
	ID      string            //
	Classes []string          // all of them
	Attrs   map[string]string // by name in lower case; "" for any value
	In      string            // the attribute that holds the field, in lower case; "" for the text within
	JSON    bool              // a script whose text is a JSON document
	Treat   *Treatment        // of the field; nil with JSON
	Entity  *Entity           // table for JSON
}

// Table says how rows of text are written.
type Table struct {
	Delimiter byte     // between cells
	Columns   []string // names by position; nil when the first row has them
	Empty     bool     // a hidden column stays, with nothing in it
}

// Plan is a template set compiled for one operation's answer.
type Plan struct {
	ID       string     // digest of everything it was compiled from: into ETags, audit and metrics
	Pass     bool       // nothing to change: the body is not touched at all
	Open     bool       // nothing is masked, hidden or left out: the body is read for its links alone
	Format   Format     // what the operation answers; the Content-Type that came is not asked
	Prefix   string     // declared XSSI prefix, removed before and put back after reading
	Root     *Node      // shape of the answer
	Table    *Table     // with CSV and XLSX
	HTTP     bool       // with Multipart: parts are HTTP answers whose bodies are JSON documents
	Elements []*Element // with HTML: what holds fields
	Say      []string   // with WebSocket: what the client may say, word for word
	Fallback *Entity    // table for whatever the tree does not claim
	NotFound *Canned    // answer when the single record asked for is not visible
	Empty    *Canned    // the CRM's answer when there are no records, where that is no empty list; nil if it is one
	Few      bool       // records may be left out: what counts them outside of the tree is wrong
	Total    string     // the header that counts records; "" for none the map knows of
	Links    bool       // some node is a Link
	Twice    bool       // some rows have a Via: the records they lead to must be looked up before the answer is read
	MaxRows  int        // records let through per set; 0 for no cap
	Spare    bool       // of an error: headers that nobody knows may tell of records too, and go
	Problem  *Plan      // how an answer that is an error is read: no tree, texts searched or left out; with Pass it may be nil, and errors pass too
}
