// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package policy decides: who may do what to which records and fields of the
// CRM, and why. It is pure: no I/O, no clock, no HTTP.
//
// A Document is the YAML an admin writes. Compile checks it against a resource
// map and makes an immutable Set of it; Set.Decide answers one request, and
// Set.Explain says why in words. What the policy does not know (a role, an
// entity, an action, a format) is refused, never let through.
package policy

import (
	"time"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

// MaxTemplates is the number of templates an account may have (product facts
// §1.11).
const MaxTemplates = 50

// Document is a policy as written. Parse makes one; an empty file gives the
// built-in defaults. Names are not yet checked against a map: Compile does that.
type Document struct {
	Version   int                 `yaml:"version"`
	Account   string              `yaml:"account,omitempty"`
	Settings  Settings            `yaml:"settings,omitempty"`
	Roles     map[string]Role     `yaml:"roles,omitempty"`     // by role id
	Groups    map[string]Group    `yaml:"groups,omitempty"`    // by group id
	Templates map[string]Template `yaml:"templates,omitempty"` // by template id
	Assign    []Assignment        `yaml:"assign,omitempty"`    // must be there, empty if need be, when there are templates
	Switches  Switches            `yaml:"switches,omitempty"`
	Defaults  Defaults            `yaml:"defaults,omitempty"`

	file  string
	place shape.Place
}

// Role is a role of the account. A key left out of a built-in role keeps the
// built-in value; an own role starts with rows own and all features.
type Role struct {
	Name     string             `yaml:"name,omitempty"`
	Rows     string             `yaml:"rows,omitempty"`     // own, group, all, none
	Features map[string]Feature `yaml:"features,omitempty"` // by feature
	Mobile   MobileRules        `yaml:"mobile,omitempty"`
}

// Group is a sales group.
type Group struct {
	Name    string              `yaml:"name,omitempty"`
	Members map[string][]string `yaml:"members,omitempty"` // e-mail to rights; any right makes a manager
}

// The six rights of a group member (product facts §1.10).
const (
	ViewLeads        = "view_leads"
	ModifyLeads      = "modify_leads"
	ViewAccounts     = "view_accounts"
	ModifyAccounts   = "modify_accounts"
	AddUsers         = "add_users"
	CreateAutomation = "create_automation"
)

// Feature is the state of a feature switch.
type Feature string

// The states. Auto is what a switch has when nobody wrote it: reports and
// custom_apps are then denied by a template that hides a lead or opportunity
// field, because they would show it; everything else is allowed.
const (
	FeatureAuto  Feature = "auto"
	FeatureAllow Feature = "allow"
	FeatureDeny  Feature = "deny"
)

// Template is the admin's unit of restriction. What it does not name it does not
// restrict.
type Template struct {
	Description string                `yaml:"description,omitempty"`
	CloneOf     string                `yaml:"clone_of,omitempty"`    // starts as a copy of this template
	UserAccess  string                `yaml:"user_access,omitempty"` // all (default) or group
	Features    map[string]Feature    `yaml:"features,omitempty"`
	Entities    map[string]EntityRule `yaml:"entities,omitempty"`
	Mobile      MobileRules           `yaml:"mobile,omitempty"`
}

// EntityRule is one row of a template's matrix.
type EntityRule struct {
	View          *Access           `yaml:"view,omitempty"`
	Create        *Access           `yaml:"create,omitempty"`
	Edit          *Access           `yaml:"edit,omitempty"`
	Delete        *Access           `yaml:"delete,omitempty"`
	Export        *Access           `yaml:"export,omitempty"`
	Import        *Access           `yaml:"import,omitempty"`
	MarkComplete  *Access           `yaml:"mark_complete,omitempty"`
	Bulk          BulkRule          `yaml:"bulk,omitempty"`
	Rows          RowsRule          `yaml:"rows,omitempty"`           // own, group, all, none, or a condition
	MaxRecords    int               `yaml:"max_records,omitempty"`    // one answer may hold; 0: no cap
	UnknownFields string            `yaml:"unknown_fields,omitempty"` // show, detect, mask, hide
	Lookup        map[string]string `yaml:"lookup,omitempty"`         // field to "exact"
}

// BulkRule holds the bulk half of the matrix: full or none.
type BulkRule struct {
	Create string `yaml:"create,omitempty"`
	Edit   string `yaml:"edit,omitempty"`
	Delete string `yaml:"delete,omitempty"`
}

// Partial is the configuration of a partial cell: what is taken away. Fields are
// named by the map's name, by a name the CRM uses for them, or by "tag:x" for
// every field with that tag.
type Partial struct {
	Detect      []string  `yaml:"detect,omitempty"`        // view
	Mask        []string  `yaml:"mask,omitempty"`          // view
	Hide        []string  `yaml:"hide,omitempty"`          // view
	Deny        []string  `yaml:"deny,omitempty"`          // create, edit
	FillIfEmpty *[]string `yaml:"fill_if_empty,omitempty"` // edit; nil: every masked field
	Types       []string  `yaml:"types,omitempty"`         // activity or task types without access
}

// MobileRules are the mobile permissions. A nil member says nothing.
type MobileRules struct {
	Offline       *bool  `yaml:"offline,omitempty"`
	MaxLeads      *int   `yaml:"max_leads,omitempty"` // 50, 100, 250, 500, 1000 or 10000
	Overwrite     string `yaml:"overwrite,omitempty"` // ignore or overwrite
	RecordCalls   *bool  `yaml:"record_calls,omitempty"`
	TrackLocation *bool  `yaml:"track_location,omitempty"`
}

// Assignment applies a template. At least one of Roles, Groups and Users is set.
type Assignment struct {
	Template  string   `yaml:"template"`
	Roles     []string `yaml:"roles,omitempty"`
	Groups    []string `yaml:"groups,omitempty"`
	Users     []string `yaml:"users,omitempty"` // e-mail addresses
	Exclusive bool     `yaml:"exclusive,omitempty"`
	When      string   `yaml:"when,omitempty"` // condition in CEL over user; "" always holds
}

// Switches are the account-wide restrictions that stand above all templates and
// hold for administrators too.
type Switches struct {
	Export          string `yaml:"export,omitempty"`           // allow (default) or deny
	SalesActivities string `yaml:"sales_activities,omitempty"` // allow (default), deny_create or deny
}

// Defaults are what holds where nobody said anything.
type Defaults struct {
	Unmapped             string `yaml:"unmapped,omitempty"`       // deny (default) or deny_all
	UnknownFields        string `yaml:"unknown_fields,omitempty"` // show, detect (default), mask, hide
	RestrictSystemFields bool   `yaml:"restrict_system_fields,omitempty"`
}

// Parse reads a policy. It is strict: an unknown key, a duplicate, a value out of
// range and a missing value are errors with file, line, column and how to mend
// them, all of them joined (errors.Join); the type of each is *Error. An empty
// file gives the defaults.
func Parse(file string, data []byte) (*Document, error) {
	node, place, err := shape.Read(file, data, documentShape)
	if err != nil {
		return nil, err
	}
	d := Empty()
	d.file, d.place = file, place
	if node == nil {
		return d, nil
	}
	if err := node.Decode(d); err != nil {
		return nil, &Error{File: file, Pos: shape.Pos{Line: 1, Col: 1}, What: "reading the policy: " + err.Error(), Mend: "report this: the check before should have said it"}
	}
	return d, nil
}

// Empty returns the document an empty file gives.
func Empty() *Document {
	return &Document{Version: 1, Settings: DefaultSettings(), place: shape.Place{}}
}

// Error is one fault of a policy: where it is, what it is, how to mend it.
type Error = shape.Error

// builtinRoles are the five roles every account has, with their documented
// rights (product facts §1.9, §1.12). Each call gives fresh maps.
func builtinRoles() map[string]Role {
	noMarketing := map[string]Feature{"marketing": FeatureDeny, "workflow": FeatureDeny}
	return map[string]Role{
		"sales_user":          {Name: "Sales User", Rows: "own", Features: noMarketing},
		"sales_manager":       {Name: "Sales Manager", Rows: "all", Features: noMarketing},
		"marketing_user":      {Name: "Marketing User", Rows: "all", Mobile: MobileRules{Offline: new(false)}},
		"administrator":       {Name: "Administrator", Rows: "all"},
		"super_administrator": {Name: "Super Administrator", Rows: "all"},
	}
}

// Settings are the account's security settings, defaults filled in.
type Settings struct {
	Session  Session  `yaml:"session,omitempty"`
	SignIn   SignIn   `yaml:"sign_in,omitempty"`
	Network  Network  `yaml:"network,omitempty"`
	Password Password `yaml:"password,omitempty"`
	Throttle Throttle `yaml:"throttle,omitempty"`
}

// Session limits sessions (product facts §1.7). Zero is off.
type Session struct {
	Idle     Duration `yaml:"idle"`     // since the last request that counts as activity
	Absolute Duration `yaml:"absolute"` // since sign-in
}

// Network holds the address rules. An empty list does not restrict; lists of
// several levels must all hold.
type Network struct {
	Account       NetworkList            `yaml:"account,omitempty"`
	API           NetworkList            `yaml:"api,omitempty"` // stands in for Account on API calls
	Roles         map[string]NetworkList `yaml:"roles,omitempty"`
	Users         map[string]NetworkList `yaml:"users,omitempty"` // by e-mail
	Reputation    Reputation             `yaml:"reputation,omitempty"`
	AllowListWins bool                   `yaml:"allow_list_wins"`
}

// NetworkList is one allow-list.
type NetworkList struct {
	Allow Prefixes `yaml:"allow,omitempty"`
}

// Reputation says what happens to addresses of a category: block_sign_in,
// block_all or report.
type Reputation struct {
	Tor            string `yaml:"tor"`
	AnonymousProxy string `yaml:"anonymous_proxy"`
	Hosting        string `yaml:"hosting"`
	VPN            string `yaml:"vpn"`
	Residential    string `yaml:"residential"`
}

// Password holds the rules for passwords the gate keeps.
type Password struct {
	MinLength      int    `yaml:"min_length"`
	MaxLength      int    `yaml:"max_length"`
	MinUpper       int    `yaml:"min_upper"`
	MinLower       int    `yaml:"min_lower"`
	MinDigits      int    `yaml:"min_digits"`
	MinSpecial     int    `yaml:"min_special"`
	Special        string `yaml:"special,omitempty"` // the only special characters allowed; "": every one
	ForbidPersonal bool   `yaml:"forbid_personal"`   // no part of the name or e-mail address

	History  int      `yaml:"history"` // earlier passwords that may not come back
	MaxAge   Duration `yaml:"max_age"` // 0: no limit
	MinAge   Duration `yaml:"min_age"`
	MinScore int      `yaml:"min_score"`          // zxcvbn, 0 to 4
	Breached string   `yaml:"breached,omitempty"` // file of SHA-1 hashes, sorted

	ResetAfterAdminChange bool `yaml:"reset_after_admin_change"`
}

// Throttle limits failed sign-ins: after Failures within Within the next try
// waits Wait, twice that after the next failure, up to MaxWait.
type Throttle struct {
	Failures int      `yaml:"failures"`
	Within   Duration `yaml:"within"`
	Wait     Duration `yaml:"wait"`
	MaxWait  Duration `yaml:"max_wait"`
}

// DefaultSettings returns the settings of an empty policy.
func DefaultSettings() Settings {
	return Settings{
		Session:  Session{Idle: Duration(30 * time.Minute), Absolute: Duration(12 * time.Hour)},
		SignIn:   defaultSignIn(),
		Network:  Network{Reputation: Reputation{Tor: "block_sign_in", AnonymousProxy: "block_sign_in", Hosting: "block_sign_in", VPN: "block_sign_in", Residential: "block_sign_in"}, AllowListWins: true},
		Password: Password{MinLength: 12, MaxLength: 128, ForbidPersonal: true, ResetAfterAdminChange: true},
		Throttle: Throttle{Failures: 5, Within: Duration(5 * time.Minute), Wait: Duration(30 * time.Second), MaxWait: Duration(15 * time.Minute)},
	}
}
