// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

// Format is the format an operation answers in, whatever its Content-Type says.
type Format string

// The formats a map can declare. Which of them can be rewritten is the concern
// of the engines; what none of them reads is refused to restricted people.
const (
	FormatJSON      Format = "json"
	FormatNDJSON    Format = "ndjson"   // a JSON document a line
	FormatJSONSeq   Format = "json_seq" // RFC 7464
	FormatCSV       Format = "csv"
	FormatHTML      Format = "html" // a page with record data
	FormatPage      Format = "page" // a page without record data
	FormatXML       Format = "xml"
	FormatXLSX      Format = "xlsx"
	FormatSSE       Format = "sse"
	FormatWebSocket Format = "websocket"
	FormatMultipart Format = "multipart"
	FormatOpaque    Format = "opaque" // files, images, recordings
	FormatNone      Format = "none"   // no body
)

// Response says what a route answers. A response without Records holds no
// records at a known place; what is in it all the same is walked with the
// route's entity.
type Response struct {
	Name       string       // the name under which the map declares it, "" for one in place
	Format     Format       // default json
	Prefix     string       // XSSI prefix in front of the document
	Records    []*RecordSet //
	Single     bool         // one record asked for by id: when it may not be seen, NotFound is the answer
	NotFound   *Canned      // nil when the map does not say
	Empty      *Canned      // the CRM's answer for "no records", when it is not an empty list; given where none is left of those it found
	Inject     *Inject      // nil when rows cannot be filtered by the CRM itself
	Total      string       // header field that counts the records, "" for none; it goes where some are left out
	Links      []Pointer    // json, xml: absolute URLs at the CRM, which are led back to the gate: next links, files
	Cursors    []Pointer    // json, xml: paging positions, which stay where unknown fields are masked or hidden, unless personal data is found in them
	Errors     *ErrorShape  // nil for the map's
	Messages   bool         // sse, websocket: messages are records of Records; false: declared without records
	Metadata   []Pointer    // places that hold wire names of fields: what stands around a hidden one goes with it
	Elements   []*Element   // html: what holds fields of the route's entity
	Say        []string     // websocket: what clients may say, word for word; whoever is not restricted may say anything
	MaxRecords int          // records one answer may hold; 0 for no cap
	Table      *Table       // csv, xlsx: how it is written; nil for the defaults
	Parts      string       // multipart: what parts are, json (default) or http: answers of their own, in sets within each other too
}

// Element is a place in a page: a selector of a tag, an id, classes and
// attributes without anything between them (td.phone, #mail, [data-field=pan]),
// and the field that the text within, or the attribute, holds. With JSON it is a
// script whose text is a JSON document, with or without a name it is assigned to.
type Element struct {
	At        Selector
	Field     string // the map's name of the field
	Attribute string // "" for the text within
	JSON      bool
}

// Selector says which elements are meant: those for which all that is set holds.
type Selector struct {
	Tag, ID string
	Classes []string
	Attrs   map[string]string // "" for any value
}

// Table says how rows of text are written. Each row, of each sheet in xlsx, is one
// record: the answer's one record set is at /*.
type Table struct {
	Delimiter string   // csv: between cells, one of , ; | or a tab; default ,
	Columns   []string // names by position, for tables without a row of names
	Hidden    string   // what becomes of a hidden column: drop (default) or empty
}

// Canned is an answer of the CRM's own.
type Canned struct {
	Status      int
	ContentType string // default application/json
	Body        string
}

// Inject is a row filter the CRM applies itself: a place in the request that
// takes the owner's id.
type Inject struct {
	Query  string  // query parameter, or
	Body   Pointer // place in a JSON body, when InBody
	InBody bool
	Many   string // how it takes several: "comma"; "" when it takes one only
}

// RecordStyle is the way a record is written.
type RecordStyle string

// The styles of records.
const (
	ObjectRecord  RecordStyle = "object"  // members are fields
	PairsRecord   RecordStyle = "pairs"   // the record is itself a list of name/value objects
	IDRecord      RecordStyle = "id"      // the value is the record's id
	IDNameRecord  RecordStyle = "id_name" // [id, display name]
	MatrixRecord  RecordStyle = "matrix"  // rows by position
	HistoryRecord RecordStyle = "history" // an object {field, old, new}: name and values of one field
)

// RecordSet is a family of records in an answer, or in a record.
//
// Examples: {"Leads":[{..}]} is At /Leads/*, style object. {"Leads":[{
// "LeadPropertyList":[{"Attribute":..,"Value":..}]}]} is At /Leads/*, style
// object, with a Part at LeadPropertyList. A list of ids is At /*, style id.
type RecordSet struct {
	At      Pointer      // each match is one record; relative to the record when nested
	Style   RecordStyle  // default object
	Entity  string       // "" for the operation's entity
	Set     string       // name of the set for totals, "" for the pointer's text
	Total   *Pointer     // from the root: the number that counts this set; nil for none
	Owner   []string     // wire names of the owner's id, when other than the entity's
	ID      []string     // wire names of the id, when other than the entity's
	Name    []string     // pairs, history: members that hold the field's name
	Value   []string     // pairs, history: members that hold values
	Columns *Columns     // matrix
	Parts   []*Part      // places inside the record that hold fields of the same record
	Nested  []*RecordSet // records of their own inside the record; the entity's Nested come on top
}

// Part is a place inside a record that holds fields of that same record.
type Part struct {
	At     Pointer  // relative to the record
	Style  string   // pairs: a list of name/value objects; map: an object whose members are fields
	Name   []string // pairs
	Value  []string // pairs; several for a history: OldValue, NewValue
	Nested []string // pairs: members of a pair that hold further pairs of the same record
	Entity string   // "" for the record's own entity
}

// Columns says where the column names of a matrix come from.
type Columns struct {
	At      *Pointer // from the root of the answer: the list of names
	Rows    *Pointer // the list of rows, when At is beside it; nil when RecordSet.At matches the rows
	Request bool     // from the request: Operation.Columns
}
