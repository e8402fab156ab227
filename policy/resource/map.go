// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"slices"
	"strings"
)

// Map describes one CRM's HTTP. It is immutable after Parse and safe for
// concurrent use. Nobody but Parse makes one.
type Map struct {
	Name                 string             // the map's name, such as "leadsquared"
	Digest               string             // SHA-256 of the file, hex
	File                 string             // the file name Parse was given, for messages
	CaseInsensitivePaths bool               // paths are compared without ASCII case
	NamePath             string             // characters that separate the parts of a field name that leads through other records; "" when names have no parts
	MaxBody              int64              // bytes of a request body read at most, default 1 MiB
	MaxItems             int                // records, ids and uses one request may name, default 10,000
	Features             []string           // feature switches routes may fall under
	Entities             map[string]*Entity // by name
	Routes               []*Route           // in the order of the file
	Errors               *ErrorShape        // how the CRM says no; nil when the map does not say
	Credentials          Credentials        // where the CRM takes its own credentials from
	Session              *SessionShape      // the CRM's own session, nil when it has none
	Wrappers             []Wrapper          // objects that stand for one scalar
	Refuse               []Refusal          // requests that are never mapped, whatever their path

	routes map[string]*Route  // by id
	named  map[string]*Entity // by wire name and by name
	index  *index
}

// EntityNamed returns the entity with that name, or the one a request names so
// on the wire ("party.party"). It returns nil for a name the map does not know;
// callers must take that for "not mapped".
func (m *Map) EntityNamed(name string) *Entity { return m.named[name] }

// RouteByID returns a route, nil when there is none of that id.
func (m *Map) RouteByID(id string) *Route { return m.routes[id] }

// FieldNamed finds the field a wire name of an entity means. The name may lead
// through other records ("party.phone", "contact_mechanisms/value") where the map
// says names have parts: the entity returned is the one the last part belongs to.
// The field is nil when that entity does not declare it; the entity is nil when
// the way there is not known, and nothing can be said about the name.
func (m *Map) FieldNamed(e *Entity, wire string) (*Entity, *Field) {
	for {
		if f := e.FieldByName(wire); f != nil {
			return e, f
		}
		cut := -1
		if m.NamePath != "" {
			cut = strings.IndexAny(wire, m.NamePath)
		}
		if cut < 0 {
			return e, nil
		}
		f := e.FieldByName(wire[:cut])
		if f == nil || f.Entity == "" || cut+1 == len(wire) {
			return nil, nil
		}
		e, wire = m.Entities[f.Entity], wire[cut+1:]
	}
}

// UnknownRule is what an entity's records do with names the map does not declare.
type UnknownRule string

// The rules for undeclared fields; Detect is the default.
const (
	UnknownShow   UnknownRule = "show"
	UnknownDetect UnknownRule = "detect"
	UnknownMask   UnknownRule = "mask"
	UnknownHide   UnknownRule = "hide"
)

// Entity is one sort of record.
type Entity struct {
	Name     string            // the map's name: lead, opportunity, ...
	Names    []string          // names on the wire, compared exactly: "party.party"
	ID       []string          // wire names of the record's id
	Owner    []string          // wire names of the owner's id; empty when records carry none
	OwnerVia []*OwnerVia       // ways to an owner for records that carry none, in order of preference
	ReadBack *ReadBack         // how records of the entity are read by id; nil when the map does not say
	Fields   map[string]*Field // by the map's name
	Unknown  UnknownRule       //
	Nested   []*RecordSet      // records of their own that sit in every record of this entity
	Copies   []Copies          // entities whose fields this entity's records repeat
	FoundBy  *FoundBy          // what a text given for a record is compared with; nil when nothing is

	byFold map[string]*Field
	line   int
	column int
}

// FieldByName returns the field with that wire name, compared folded; nil when
// the entity does not declare it, which is when Unknown rules.
func (e *Entity) FieldByName(wireName string) *Field {
	var buf [64]byte
	return e.byFold[string(AppendFold(buf[:0], []byte(wireName)))]
}

// FieldByFold is FieldByName for a name that is folded already.
func (e *Entity) FieldByFold(folded []byte) *Field { return e.byFold[string(folded)] }

// OwnerVia says whose a record is that does not carry an owner of its own: it
// belongs to whom another record belongs to. The entity of that record says how it
// is read (ReadBack).
type OwnerVia struct {
	At     string // wire name of the member that holds the other record's id
	Entity string // the entity of that record
}

// Copies says that records repeat fields of another entity, such as the lead's
// phone in an opportunity's row. Parse adds a Field with CopyOf set for each of
// them that the entity does not declare itself.
type Copies struct {
	Entity   string
	Prefixes []string // before each wire name; "" for the bare name
}

// Field is one field of an entity.
type Field struct {
	Name           string    // the map's name: phone
	Names          []string  // wire names, compared folded
	Tags           []string  // groups a template can restrict at once: pii
	Mask           *MaskSpec // what a masked value looks like; nil for the default (full)
	DerivedFrom    []string  // fields of the same entity whose values show through; the strictest treatment counts
	Embedded       Embedded  // the value is text that holds fields of its own; "" if not
	Between, Is    string    // of EmbeddedPairs: between two pairs, and between a name and its value
	Unrestrictable bool      // templates may not restrict it
	Entity         string    // the value points at, or holds, a record of this entity; "" if not
	CopyOf         string    // "entity.field" whose value this repeats; treat it no laxer than that field. "" if not

	line   int
	column int
}

// Place is where the field stands in the map's file, both counted from 1.
func (f *Field) Place() (line, column int) { return f.line, f.column }

// Embedded is the form in which a text holds fields of its own.
type Embedded string

// The forms of text.
const (
	EmbeddedJSON   Embedded = "json"
	EmbeddedForm   Embedded = "urlencoded" // a=1&b=2, with the escapes of forms
	EmbeddedBase64 Embedded = "base64json" // JSON, or other text, in base64
	EmbeddedPairs  Embedded = "pairs"      // names and values between delimiters of its own
)

// HasTag reports whether the field carries the tag.
func (f *Field) HasTag(tag string) bool {
	return slices.Contains(f.Tags, tag)
}

// Original returns entity and field of CopyOf, or "", "".
func (f *Field) Original() (entity, field string) {
	entity, field, _ = strings.Cut(f.CopyOf, ".")
	return entity, field
}

// MaskSpec is a field's mask as the map writes it. Package mask knows the
// functions; this package only reads the words.
type MaskSpec struct {
	Fn         string  // full, null, keep_last, keep_first, phone, email, card, date, round, bucket, token, ...
	KeepLast   int     // characters shown at the end, 1 to 4; 0 for what the function shows by itself
	KeepFirst  int     // characters shown at the start, likewise
	Keep       string  // what a date keeps: year, month; what an address does: domain, none
	Text       string  // the text a full mask shows
	Step       float64 // rounding step
	HideDomain bool    // email: the domain is masked too
}

// ErrorShape is how the CRM says no.
type ErrorShape struct {
	Statuses    []int             // statuses that carry it; 200 is for errors inside success
	At          Pointer           // member that marks the envelope, such as /Status
	Is          string            // its value, such as "Error"; "" when presence is enough
	TypeAt      Pointer           // where the kind of error stands
	MessageAt   Pointer           // where the message stands; it may echo values
	ContentType string            // of Body, default application/json
	Body        string            // what the gate answers in this shape: {type}, {message} and {status} are filled in as JSON text
	Types       map[string]string // the CRM's kind of error by HTTP status ("404") or "default"
	Words       []string          // of which messages are made, besides the map's own names and those every API uses
}

// Render returns an answer of the CRM's own error shape for a status and a
// message, or nil when the map gives no body. The texts are escaped as JSON.
func (s *ErrorShape) Render(status int, message string) []byte {
	if s == nil || s.Body == "" {
		return nil
	}
	kind := s.Types[itoa(status)]
	if kind == "" {
		kind = s.Types["default"]
	}
	r := strings.NewReplacer("{type}", jsonText(kind), "{message}", jsonText(message), "{status}", itoa(status))
	return []byte(r.Replace(s.Body))
}

// Credentials names where a CRM takes its own credentials from. The gate strips
// what clients send there, in every spelling, and puts the person's own in.
type Credentials struct {
	Query   []string // query parameters
	Headers []string // header fields
}

// SessionShape is how later requests carry the CRM's own session, once a route
// of kind sign_in has granted it (see Route.Grants).
type SessionShape struct {
	Header string   // header field that carries it, or
	Cookie string   // cookie, or
	Query  string   // query parameter
	Scheme string   // word before the value, such as "Session"
	Base64 bool     // the value is base64 of Form
	Form   Template // the value: "{login}:{uid}:{key}"
	Secret string   // the capture that identifies the session: "key"

	SignOut *SessionEnd // ends it; nil when nobody knows how
}

// SessionEnd is the request that ends a session of the CRM's own. It carries the
// session where SessionShape says.
type SessionEnd struct {
	Method      string // POST unless the map says otherwise
	Path        string // "": the path of a request that carried the session
	Body        string
	ContentType string // application/json when there is a body and the map says nothing
}

// Wrapper is an object that stands for a scalar:
// {"__class__":"Decimal","decimal":"1.0"}.
type Wrapper struct {
	At    string   // member that marks it: __class__
	Is    string   // its value: Decimal; "" for any
	Value []string // members that hold the value
}

// Refusal is a request that is never mapped.
type Refusal struct {
	When Condition
	Why  string // for explain
}
