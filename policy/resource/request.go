// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

// BodyKind says how a request body is read.
type BodyKind string

// The kinds of body. A body of a kind the engine does not read becomes a use
// that is Unknown, never nothing.
const (
	NoRequestBody BodyKind = "none"      // the route takes no body; the gate must send none
	JSONBody      BodyKind = "json"      // strict JSON
	FormBody      BodyKind = "form"      // application/x-www-form-urlencoded
	MultipartBody BodyKind = "multipart" // read as a batch of parts; otherwise not read yet: Unknown
	XMLBody       BodyKind = "xml"       // not read yet: Unknown
	GraphQLBody   BodyKind = "graphql"   // not read yet: Unknown
	OpaqueBody    BodyKind = "opaque"    // an upload that names no field; not read on purpose
)

// RequestShape says what a route reads from a request. Parameters, form fields
// and members of a JSON body that no Read claims become uses that are Unknown,
// so that a request can hide nothing beside what the map knows.
type RequestShape struct {
	Body     BodyKind  // default json when a Read reads the body, none otherwise
	Optional bool      // an empty body is allowed
	MaxBody  int64     // bytes, 0 for the map's
	Reads    []*Read   //
	Pages    []*Paging // the paging dialects the route understands

	tree    *place           // reads of the body
	params  map[string]*Read // reads of query parameters by folded name; several are chained by next
	forms   map[string]*Read // reads of form fields by folded name
	simple  []*Read          // reads of captures and headers
	bracket []*Read          // reads of bracketed query parameters
}

// Style is the way a Read reads the value at its place.
type Style string

// The styles. The last five can be said and are not read yet: a value there is
// a use that is Unknown.
const (
	AsID       Style = "id"       // record ids: a scalar or a list
	AsType     Style = "type"     // activity or task types: a scalar or a list
	AsParent   Style = "parent"   // ids of records of another entity
	AsName     Style = "name"     // text naming one field, or a list of such texts
	AsNames    Style = "names"    // names separated by Split
	AsOrder    Style = "order"    // an order: "a desc, -b", ["a"], [["a","DESC"]], {"a":"desc"}
	AsField    Style = "field"    // the value of the field Field
	AsObject   Style = "object"   // an object whose members are fields; nested commands by Commands
	AsPairs    Style = "pairs"    // a list of {Name: ..., Value: ...}
	AsColumns  Style = "columns"  // positional rows: the list of column names
	AsDomain   Style = "domain"   // ["phone","like","98%"] lists with AND and OR
	AsBrackets Style = "brackets" // query parameters filter[phone][_contains]=
	AsJSON     Style = "json"     // text that holds JSON, read by Inner
	AsSearch   Style = "search"   // free text searched for in several fields
	AsCallback Style = "callback" // a URL the CRM sends results to
	AsBase     Style = "base"     // the time or version the client's change builds on
	AsOptions  Style = "options"  // an object of options that name no field
	AsIgnore   Style = "ignore"   // says nothing about fields
	AsUnknown  Style = "unknown"  // known to be a query nobody reads
	AsOData    Style = "odata"    // OData filter text
	AsSQL      Style = "sql"      // SQL-like text: SOQL, FetchXML, ...
	AsGraphQL  Style = "graphql"  // GraphQL document
	AsXML      Style = "xml"      // XML in a string
)

// Read is one thing read from a request.
type Read struct {
	Source   Source
	As       Style
	Use      Use               // the use of the fields named
	Entity   string            // entity of the fields or ids; "" for the route's
	Field    string            // AsField: the map's name of the field; AsSearch: "" for any field
	Over     []string          // AsSearch: fields searched; empty for any field
	Split    string            // AsNames, AsID: separator, default ","
	Name     []string          // AsPairs: members that hold the name
	Value    []string          // AsPairs: members that hold the value
	Nested   string            // AsPairs: member of a pair that holds further pairs of the same record; "" for none
	Skip     []string          // AsPairs: members of a pair that say nothing
	Control  map[string]string // AsPairs: names that are no fields, by folded name: lookup (the value names a field), id, parent, ignore
	Inner    []*Read           // AsJSON: reads of the text, pointers relative to it
	Op       Pointer           // AsName: where the operator stands, for FieldUse.Op; needs a fixed pointer
	ValueAt  Pointer           // AsName: where the value asked for stands, for FieldUse.Given; a fixed pointer
	Rows     Pointer           // AsColumns: the list of rows
	Commands string            // AsObject: language of nested writes: "tryton", "odoo"; "" for none
	Required bool              // a request without it cannot be read
	Record   bool              // each match is one record written (default for AsObject and AsPairs with use write)

	tree *place // of Inner
	next *Read  // further read of the same parameter
	line int
	col  int
}

// Paging says how a request pages, so that reads in bulk can be seen and capped.
type Paging struct {
	Index  *Source // page number
	Offset *Source // records skipped
	Size   *Source // records asked for
	Max    int     // records the CRM gives at most, 0 when not known
	Usual  int     // records given when the request does not say, 0 when not known
}
