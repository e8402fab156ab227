// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// PrincipalKind says by which door a principal came.
type PrincipalKind string

// The kinds of principal.
const (
	Nobody PrincipalKind = "nobody"  // no proof of identity was given
	User   PrincipalKind = "user"    // a person with a session
	Mobile PrincipalKind = "mobile"  // a person with the mobile app's token
	APIKey PrincipalKind = "api_key" // a program with a person's API key
)

// Principal is who asks. It is a value the gate builds for each request from
// the session and the directory; policy never looks anything up.
type Principal struct {
	Kind     PrincipalKind
	ID       string // the person's id in the directory; "" for Nobody
	Email    string
	Name     string
	Role     string   // role id, such as "sales_user"
	OwnerIDs []string // ids under which the CRM knows this person as owner
	Device   string   // device id, "" when unknown
	SignedIn time.Time
}
