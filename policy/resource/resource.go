// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package resource is the resource-map language: YAML that describes one CRM's
// HTTP, so that the gate can tell what a request does to the CRM and where the
// fields sit in what comes back. A new CRM is a new map, not new code.
//
// Data flows one way: a Request is matched to a Route, the Route reads it into
// Operations. What cannot be read is an error, and errors are refusals: there is
// no way through this package that turns "not understood" into "nothing there".
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
