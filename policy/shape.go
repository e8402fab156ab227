// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	_ "embed"
	"regexp"
	"time"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

// Schema is the JSON schema of a policy document, for editors. The parser is
// stricter: it also knows ranges, networks and which names exist.
//
//go:embed schema.json
var Schema []byte

// The shape of a policy: the parser, schema.json and docs/policy.md all follow it.
type (
	sh  = shape.Shape
	key = shape.Key
)

var (
	idPattern    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	idLooks      = "a name of small letters, digits, _ and -, such as north_2"
	emailPattern = regexp.MustCompile(`^[^@\s]{1,64}@[^@\s]{1,190}$`)
	emailLooks   = "an e-mail address"
	fieldPattern = regexp.MustCompile(`^.{1,128}$`)

	idText    = &sh{Kind: shape.Text, Pattern: idPattern, Looks: idLooks}
	emailText = &sh{Kind: shape.Text, Pattern: emailPattern, Looks: emailLooks}
	fieldText = &sh{Kind: shape.Text, Pattern: fieldPattern, Looks: "a field name or tag:name"}
	boolean   = &sh{Kind: shape.Bool}
	rows      = word("own", "group", "all", "none")
	unknown   = word("show", "detect", "mask", "hide")
)

func word(w ...string) *sh { return &sh{Kind: shape.Word, Words: w} }

func number(lo, hi int64) *sh { return &sh{Kind: shape.Int, Min: lo, Max: hi} }

func text(most int64) *sh { return &sh{Kind: shape.Text, Max: most} }

func list(of *sh, least int64) *sh {
	return &sh{Kind: shape.List, Elem: of, Min: least, Max: 10000, Unique: true}
}

func section(keys ...key) *sh { return &sh{Kind: shape.Object, Keys: keys} }

func span(from, to time.Duration, off bool) *sh {
	return &sh{Kind: shape.Duration, From: from, To: to, Off: off}
}

func byName(what string, most int64, of *sh) *sh {
	return &sh{Kind: shape.Map, Name: what, Pattern: idPattern, Looks: idLooks, Elem: of, Max: most}
}

func byEmail(of *sh) *sh {
	return &sh{Kind: shape.Map, Name: "e-mail", Pattern: emailPattern, Looks: emailLooks, Elem: of, Max: 100000}
}

var documentShape = section(
	key{Name: "version", Shape: number(1, 1), Default: "1", Example: "1", Doc: "Version of this language."},
	key{Name: "account", Shape: idText, Example: "acme", Doc: "The CRM account the policy is for; shown, not checked."},
	key{Name: "settings", Shape: settingsShape, Example: "{session: {idle: 15m}}", Doc: "Security settings of the account."},
	key{Name: "roles", Shape: byName("role", 200, roleShape), Example: "{inside_sales: {name: Inside Sales, rows: own}}", Doc: "Own roles, and changes to the five built-in ones."},
	key{Name: "groups", Shape: byName("group", 10000, groupShape), Example: "{north: {name: North}}", Doc: "Sales groups."},
	key{Name: "templates", Shape: byName("template", MaxTemplates, templateShape), Example: "{telecaller: {user_access: group}}", Doc: "Permission templates: what is taken away from whom they are assigned to. Several templates add up; the most restrictive word wins."},
	key{Name: "assign", Shape: &sh{Kind: shape.List, Elem: assignShape, Max: 10000}, Example: "[{template: telecaller, roles: [sales_user]}]", Doc: "Who gets which template. Must be there, `[]` if need be, when there are templates: a file that was cut short must not lift every restriction."},
	key{Name: "switches", Shape: switchesShape, Example: "{export: deny}", Doc: "Account-wide restrictions above all templates; they hold for administrators too."},
	key{Name: "defaults", Shape: defaultsShape, Example: "{unknown_fields: hide}", Doc: "What holds where nothing else was said."},
)

var settingsShape = section(
	key{Name: "session", Example: "{idle: 15m, absolute: 8h}", Doc: "How long a session lives.", Shape: section(
		key{Name: "idle", Shape: span(5*time.Minute, 24*time.Hour, true), Default: "30m", Example: "15m", Doc: "Sign-out after this time without activity; background polling is no activity."},
		key{Name: "absolute", Shape: span(15*time.Minute, 720*time.Hour, true), Default: "12h", Example: "8h", Doc: "Sign-out this long after sign-in, whatever happens."},
	)},
	key{Name: "sign_in", Shape: signInShape, Example: "{max_sessions: 3}", Doc: "Signing in."},
	key{Name: "network", Shape: networkShape, Example: "{account: {allow: [203.0.113.0/24]}}", Doc: "From where the account may be reached."},
	key{Name: "password", Shape: passwordShape, Example: "{min_length: 14}", Doc: "Rules for passwords the gate keeps; checked when a password is set."},
	key{Name: "throttle", Example: "{failures: 3}", Doc: "How failed sign-ins are slowed down.", Shape: section(
		key{Name: "failures", Shape: number(1, 100), Default: "5", Example: "3", Doc: "Failures allowed before waiting begins."},
		key{Name: "within", Shape: span(time.Minute, 24*time.Hour, false), Default: "5m", Example: "10m", Doc: "The time the failures are counted over."},
		key{Name: "wait", Shape: span(time.Second, time.Hour, false), Default: "30s", Example: "1m", Doc: "The first wait; it doubles with each further failure."},
		key{Name: "max_wait", Shape: span(time.Second, 24*time.Hour, false), Default: "15m", Example: "1h", Doc: "The longest wait."},
	)},
)

var (
	allowShape = section(key{Name: "allow", Shape: list(&sh{Kind: shape.Network}, 0), Example: "[203.0.113.0/24, \"2001:db8::/32\"]", Doc: "Addresses and ranges that may come in; an empty list does not restrict."})
	reputation = word("block_sign_in", "block_all", "report")
)

var networkShape = section(
	key{Name: "account", Shape: allowShape, Example: "{allow: [203.0.113.0/24]}", Doc: "Holds for everybody, on everything but API calls."},
	key{Name: "api", Shape: allowShape, Example: "{allow: [198.51.100.7]}", Doc: "Holds for API calls, in place of the account's list."},
	key{Name: "roles", Shape: byName("role", 200, allowShape), Example: "{sales_user: {allow: [203.0.113.0/24]}}", Doc: "Holds in addition for people of the role."},
	key{Name: "users", Shape: byEmail(allowShape), Example: "{asha@example.com: {allow: [203.0.113.7]}}", Doc: "Holds in addition for the person."},
	key{Name: "reputation", Example: "{tor: block_all}", Doc: "What happens to addresses of ill repute: no sign-in, no request at all, or a line in the audit.", Shape: section(
		key{Name: "tor", Shape: reputation, Default: "block_sign_in", Example: "block_all", Doc: "Exits of the Tor network."},
		key{Name: "anonymous_proxy", Shape: reputation, Default: "block_sign_in", Example: "block_all", Doc: "Public and anonymous proxies."},
		key{Name: "hosting", Shape: reputation, Default: "block_sign_in", Example: "report", Doc: "Hosting providers."},
		key{Name: "vpn", Shape: reputation, Default: "block_sign_in", Example: "report", Doc: "Commercial VPNs."},
		key{Name: "residential", Shape: reputation, Default: "block_sign_in", Example: "report", Doc: "Residential proxies."},
	)},
	key{Name: "allow_list_wins", Shape: boolean, Default: "true", Example: "false", Doc: "An address named by an allow-list is not judged by its reputation."},
)

var featuresShape = byName("feature", 100, word("auto", "allow", "deny"))

var mobileShape = section(
	key{Name: "offline", Shape: boolean, Default: "true", Example: "false", Doc: "Whether the app may keep leads on the device. Built-in role marketing_user: false."},
	key{Name: "max_leads", Shape: word("50", "100", "250", "500", "1000", "10000"), Default: "100", Example: "250", Doc: "How many leads the app may keep."},
	key{Name: "overwrite", Shape: word("ignore", "overwrite"), Default: "ignore", Example: "overwrite", Doc: "What happens to offline changes of a lead that has changed meanwhile."},
	key{Name: "record_calls", Shape: boolean, Default: "true", Example: "false", Doc: "Whether call recordings may be stored and heard."},
	key{Name: "track_location", Shape: boolean, Default: "true", Example: "false", Doc: "Whether the app may send co-ordinates."},
)

var roleShape = section(
	key{Name: "name", Shape: text(100), Example: "Inside Sales", Doc: "The name people read."},
	key{Name: "rows", Shape: rows, Default: "own", Example: "all", Doc: "Which records: own, own and those of groups one manages, all, none. Built-in: sales_user own, the others all. A group's view right widens a role's own to group."},
	key{Name: "features", Shape: featuresShape, Example: "{marketing: deny}", Doc: "Feature switches of the role. Built-in: marketing and workflow denied for sales_user and sales_manager."},
	key{Name: "mobile", Shape: mobileShape, Example: "{max_leads: 250}", Doc: "Mobile permissions of the role."},
)

var groupShape = section(
	key{Name: "name", Shape: text(100), Example: "North", Doc: "The name people read."},
	key{Name: "members", Shape: byEmail(list(word(ViewLeads, ModifyLeads, ViewAccounts, ModifyAccounts, AddUsers, CreateAutomation), 0)), Example: "{asha@example.com: [view_leads]}", Doc: "Members and their rights; any right makes a manager of the group. create_automation needs view_leads and modify_leads."},
)

var templateShape = section(
	key{Name: "description", Shape: text(1000), Example: "Phones and e-mail addresses masked", Doc: "What the template is for."},
	key{Name: "clone_of", Shape: idText, Example: "telecaller", Doc: "Starts as a copy of another template; keys written here replace the copied ones, cell by cell."},
	key{Name: "user_access", Shape: word("all", "group"), Default: "all", Example: "group", Doc: "Which users are seen in lists of users: all, or those of groups one manages and oneself."},
	key{Name: "features", Shape: featuresShape, Example: "{reports: deny}", Doc: "Feature switches. auto, the default, denies reports and custom_apps when the template hides a lead or opportunity field and allows everything else; allow switches them on in spite of that."},
	key{Name: "entities", Shape: byName("entity", 200, entityShape), Example: "{lead: {delete: none}}", Doc: "The matrix: one row an entity of the map. What is not written is full."},
	key{Name: "mobile", Shape: mobileShape, Example: "{offline: false}", Doc: "Mobile permissions."},
)

func accessShape(keys ...key) *sh {
	w := word("full", "none")
	if len(keys) > 0 {
		w.Or = section(key{Name: "partial", Shape: section(keys...), Required: true, Example: "{" + keys[0].Name + ": " + keys[0].Example + "}", Doc: "Everything but what is listed."})
	}
	return w
}

var (
	typesKey  = key{Name: "types", Shape: list(text(100), 1), Example: "[\"22\"]", Doc: "Activity or task types without access. While there are any, a request must name its types."}
	maskKey   = key{Name: "mask", Shape: list(fieldText, 1), Example: "[phone, \"tag:pii\"]", Doc: "Fields shown masked, as the map says; nobody can query or edit them through the mask."}
	detectKey = key{Name: "detect", Shape: list(fieldText, 1), Example: "[notes]", Doc: "Fields shown with anything that looks personal (phone numbers, e-mail addresses, card numbers, ...) masked in place. Fields the map tags `text` are treated so by every template that masks or hides anything."}
	hideKey   = key{Name: "hide", Shape: list(fieldText, 1), Example: "[pan]", Doc: "Fields taken out altogether."}
	denyKey   = key{Name: "deny", Shape: list(fieldText, 1), Example: "[score]", Doc: "Fields that may not be written."}
	fillKey   = key{Name: "fill_if_empty", Shape: list(fieldText, 0), Default: "every masked field", Example: "[phone]", Doc: "Masked fields that may be filled in while they are empty, which the gate looks up first."}
)

// rowsOr is a scope in one word, or a condition and a scope beside it.
func rowsOr() *sh {
	w := *rows
	w.Or = section(
		key{Name: "cel", Shape: text(maxCondition), Required: true, Example: "record.stage != 'Won'", Doc: "A condition in CEL over `record` and `user`. A record for which it is not true, or comes to no answer, is not seen."},
		key{Name: "scope", Shape: rows, Default: "all", Example: "own", Doc: "Whose records, besides."},
	)
	return &w
}

var entityShape = section(
	key{Name: "view", Shape: accessShape(maskKey, hideKey, detectKey, typesKey), Default: "full", Example: "{partial: {mask: [phone]}}", Doc: "Seeing records."},
	key{Name: "create", Shape: accessShape(denyKey, typesKey), Default: "full", Example: "none", Doc: "Making records."},
	key{Name: "edit", Shape: accessShape(denyKey, fillKey, typesKey), Default: "full", Example: "{partial: {deny: [score]}}", Doc: "Changing records. What is not shown as it is cannot be changed in any case, fields the map does not know included, so that no mask is ever stored."},
	key{Name: "delete", Shape: accessShape(typesKey), Default: "full", Example: "none", Doc: "Deleting records."},
	key{Name: "export", Shape: accessShape(typesKey), Default: "full", Example: "none", Doc: "Exporting records; exports show what view shows."},
	key{Name: "import", Shape: accessShape(typesKey), Default: "full", Example: "none", Doc: "Importing records."},
	key{Name: "mark_complete", Shape: accessShape(typesKey), Default: "full", Example: "none", Doc: "Marking tasks complete."},
	key{Name: "bulk", Example: "{delete: none}", Doc: "The same actions on many records in one request; both the single and the bulk cell must allow.", Shape: section(
		key{Name: "create", Shape: accessShape(), Default: "full", Example: "none", Doc: "Making many."},
		key{Name: "edit", Shape: accessShape(), Default: "full", Example: "none", Doc: "Changing many."},
		key{Name: "delete", Shape: accessShape(), Default: "full", Example: "none", Doc: "Deleting many."},
	)},
	key{Name: "rows", Shape: rowsOr(), Default: "all", Example: "own", Doc: "Which records of the entity: own, group, all or none, for entities whose owner the map knows; or what must hold of each."},
	key{Name: "max_records", Shape: number(1, 100000), Default: "no cap", Example: "500", Doc: "How many records of the entity one answer may hold. The rest is left out, and totals count what is there."},
	key{Name: "unknown_fields", Shape: unknown, Default: "defaults.unknown_fields", Example: "hide", Doc: "Fields the map does not know: shown, shown with anything that looks personal masked, masked, hidden."},
	key{Name: "lookup", Shape: &sh{Kind: shape.Map, Name: "field", Pattern: fieldPattern, Looks: "a field name", Elem: word("exact"), Max: 100}, Example: "{phone: exact}", Doc: "Masked fields by which a record may be looked up by somebody who knows the whole value: one value, for equality. Such look-ups are counted and audited."},
)

var assignShape = section(
	key{Name: "template", Shape: idText, Required: true, Example: "telecaller", Doc: "The template."},
	key{Name: "roles", Shape: list(idText, 1), Example: "[sales_user]", Doc: "Everybody of these roles."},
	key{Name: "groups", Shape: list(idText, 1), Example: "[north]", Doc: "Every member of these groups."},
	key{Name: "users", Shape: list(emailText, 1), Example: "[asha@example.com]", Doc: "These people."},
	key{Name: "when", Shape: text(maxCondition), Example: "user.kind == 'mobile'", Doc: "A condition in CEL over `user`: the template applies only while it holds. When it comes to no answer, the template applies."},
	key{Name: "exclusive", Shape: boolean, Default: "false", Example: "true", Doc: "Only with users alone: of all templates only their exclusive ones count. The rights of the role remain."},
)

var switchesShape = section(
	key{Name: "export", Shape: word("allow", "deny"), Default: "allow", Example: "deny", Doc: "Whether anybody may export anything."},
	key{Name: "sales_activities", Shape: word("allow", "deny_create", "deny"), Default: "allow", Example: "deny_create", Doc: "Whether anybody may make, or see and make, sales activities."},
)

var defaultsShape = section(
	key{Name: "unmapped", Shape: word("deny", "deny_all"), Default: "deny", Example: "deny_all", Doc: "Requests the map does not know: refused for everybody who is restricted in anything, or for everybody."},
	key{Name: "unknown_fields", Shape: unknown, Default: "detect", Example: "hide", Doc: "Fields the map does not know, for those who have a masked or hidden field; everybody else sees them."},
	key{Name: "restrict_system_fields", Shape: boolean, Default: "false", Example: "true", Doc: "Lets templates restrict the fields the map calls unrestrictable."},
)
