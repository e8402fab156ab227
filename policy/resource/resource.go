// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package resource is the resource-map language: YAML that describes one CRM's
// HTTP, so that the gate can tell what a request does to the CRM and where the
// fields sit in what comes back. A new CRM is a new map, not new code.
//
// Data flows one way: Canonical gives a path its one spelling, Map.Match finds
// the route, Match.Operations reads the request into operations. What cannot be
// read is an error, and errors are refusals: there is no way through this package
// that turns "not understood" into "nothing there". A query parameter, form field
// or body member the route does not declare becomes a FieldUse with Use Unknown,
// which nobody with a restriction on the entity gets past.
//
// # A map
//
//	version: 1
//	map: acme
//	entities:
//	  lead:
//	    id: [Id]
//	    owner: [OwnerId]
//	    fields:
//	      phone: {names: [Phone, Mobile], tags: [pii], mask: {fn: phone, keep_last: 4}}
//	routes:
//	  - id: lead.search
//	    on: POST /leads/search
//	    entity: lead
//	    action: view
//	    request:
//	      read: [{body: /where/*/field, as: name, use: filter}]
//	      ignore: [/where/*/value]
//	    response: {records: {at: /leads/*, total: /count}}
//
// Shapes that several routes share stand under requests: and responses: and are
// used by name, or by "use:" with more beside it. The exported types document
// every key: Map, Entity, Field, Route, RequestShape, Read, Response, RecordSet.
//
// # What can be said and is not read yet
//
// Bodies that are multipart, XML or GraphQL, and the read styles odata, sql,
// graphql, xml and unknown, become a use that is Unknown. A batch inside a batch,
// a form inside a batch, and a body whose kind of routes differs on one path are
// refused. Cookies are no source. What a Response says beside its Records,
// ReadBack, Conditional and FollowUp are carried for those who act on them; this
// package checks only that the routes they name exist.
package resource

import "errors"

// ErrUnmapped is returned for a request no route of the map matches.
var ErrUnmapped = errors.New("resource: no route matches")

// ErrUnreadable is wrapped by every error about a request that a route matches
// but cannot read: a body that is not what the route declares, a batch beyond
// its limit, an encoding that hides names.
var ErrUnreadable = errors.New("resource: request cannot be read")

// ErrPath is wrapped by every refusal of Canonical.
var ErrPath = errors.New("resource: path refused")

// Request is what the language can see of an HTTP request. The gate builds it;
// Path is already canonical, and is what will be sent.
type Request struct {
	Method string
	Host   string              // lower case, without port and trailing dot
	Path   string              // from Canonical
	Query  map[string][]string // decoded; duplicate names kept
	Header map[string][]string // canonical MIME names
	Body   []byte              // nil until a match said NeedsBody
}
