// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/internal/shape"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/resource"
)

// Option changes how Compile works.
type Option func(*compiler)

// WithMaskKey gives the account's key for masks that need one: token. Without
// it a policy that masks such a field does not compile.
func WithMaskKey(key []byte) Option { return func(c *compiler) { c.key = key } }

type compiler struct {
	d         *Document
	m         *resource.Map
	key       []byte
	set       *Set
	faults    []error
	templates map[string]*restriction
	userRules map[string]bool // templates that switch create_users and the like
}

// Compile checks a document against a map and makes a Set of it. Every name that
// the document, its roles or the map do not know is an error with its place; all
// of them are joined.
func Compile(d *Document, m *resource.Map, options ...Option) (*Set, error) {
	if d == nil || m == nil {
		return nil, errors.New("compiling policy: a document and a map are needed")
	}
	c := &compiler{d: d, m: m, templates: map[string]*restriction{}, userRules: map[string]bool{}}
	for _, o := range options {
		o(c)
	}
	c.set = &Set{
		settings: d.Settings, defaults: d.Defaults, crm: m,
		roles: map[string]*role{}, groups: map[string]Group{}, people: map[string]*person{},
		masks: map[string]*mask.Func{}, features: c.knownFeatures(), rights: map[string]*rights{},
	}
	c.set.words = wordsOf(m)
	c.compileMasks()
	c.compileRoles()
	c.compileGroups()
	c.compileTemplates()
	c.compileAssignments()
	c.compileSwitches()
	c.checkSettings()
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	return c.set, c.seal()
}

// seal computes the digests.
func (c *compiler) seal() error {
	out, err := yaml.Marshal(c.d)
	if err != nil {
		return fmt.Errorf("compiling policy: %w", err)
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte("crmgate mask key"))
	keyed := hex.EncodeToString(mac.Sum(nil))
	c.set.seed = c.m.Digest + " " + keyed
	sum := sha256.Sum256(append(out, c.set.seed...))
	c.set.digest = hex.EncodeToString(sum[:])
	return nil
}

func (c *compiler) fault(at, what, mend string) {
	c.faults = append(c.faults, &Error{File: c.d.name(), Pos: c.d.place.Of(at), What: what, Mend: mend})
}

func (d *Document) name() string {
	if d.file == "" {
		return "policy"
	}
	return d.file
}

// knownFeatures are the switches of the product and those the map names.
func (c *compiler) knownFeatures() map[string]bool {
	out := map[string]bool{}
	for _, f := range builtinFeatures {
		out[f] = true
	}
	for _, f := range c.m.Features {
		out[f] = true
	}
	for _, r := range c.m.Routes {
		if r.Feature != "" {
			out[r.Feature] = true
		}
	}
	return out
}

var builtinFeatures = []string{
	"dashboard", "reports", "marketing", "workflow", "custom_apps", "api", "call_recordings", "content", "leads",
	"accounts", "create_users", "activate_users", "deactivate_users", "organization_switch", "support_access",
}

// userFeatures may never be taken from sales users by a template, who do not have
// them (product facts §1.11).
var userFeatures = []string{"create_users", "activate_users", "deactivate_users"}

func (c *compiler) compileMasks() {
	for _, en := range slices.Sorted(maps.Keys(c.m.Entities)) {
		e := c.m.Entities[en]
		for _, fn := range slices.Sorted(maps.Keys(e.Fields)) {
			spec := e.Fields[fn].Mask
			if spec == nil {
				continue
			}
			f, err := mask.Compile(maskSpec(spec, en+"."+fn), c.maskKey(spec.Fn))
			if err != nil {
				line, column := e.Fields[fn].Place()
				c.faults = append(c.faults, fmt.Errorf("%s:%d:%d: entity %s, field %s: %w", c.m.File, line, column, en, fn, err))
				continue
			}
			c.set.masks[en+"."+fn] = f
		}
	}
	full, err := mask.Compile(mask.Spec{Fn: "full"}, nil)
	if err != nil {
		c.faults = append(c.faults, fmt.Errorf("compiling policy: %w", err))
	}
	c.set.masks[""] = full
}

// maskKey derives nothing: the mask package separates fields by their domain.
func (c *compiler) maskKey(fn string) []byte {
	if fn == "token" {
		return c.key
	}
	return nil
}

func maskSpec(s *resource.MaskSpec, field string) mask.Spec {
	out := mask.Spec{Fn: s.Fn, KeepLast: s.KeepLast, KeepFirst: s.KeepFirst, Keep: s.Keep, Text: s.Text, Step: s.Step}
	if s.HideDomain {
		out.Keep = "none"
	}
	if s.Fn == "token" {
		out.Domain = field
	}
	return out
}

func (c *compiler) compileRoles() {
	all := builtinRoles()
	for id, r := range c.d.Roles {
		base, builtin := all[id]
		if !builtin {
			base = Role{Name: id, Rows: "own"}
		}
		all[id] = r.over(base)
		c.checkFeatures("/roles/"+id+"/features", r.Features)
	}
	for id, r := range all {
		out := &role{Role: r, spelled: map[string]bool{}}
		for f, state := range c.d.Roles[id].Features {
			out.spelled[f] = state == FeatureDeny
		}
		out.own = c.roleContribution(id, r, scopes[r.Rows])
		c.set.roles[id] = out
	}
}

// over lays a role as written over what it is without.
func (r Role) over(base Role) Role {
	if r.Name != "" {
		base.Name = r.Name
	}
	if r.Rows != "" {
		base.Rows = r.Rows
	}
	features := maps.Clone(base.Features)
	if features == nil {
		features = map[string]Feature{}
	}
	maps.Copy(features, r.Features)
	base.Features = features
	base.Mobile = r.Mobile.over(base.Mobile)
	return base
}

func (m MobileRules) over(base MobileRules) MobileRules {
	if m.Offline != nil {
		base.Offline = m.Offline
	}
	if m.MaxLeads != nil {
		base.MaxLeads = m.MaxLeads
	}
	if m.Overwrite != "" {
		base.Overwrite = m.Overwrite
	}
	if m.RecordCalls != nil {
		base.RecordCalls = m.RecordCalls
	}
	if m.TrackLocation != nil {
		base.TrackLocation = m.TrackLocation
	}
	return base
}

func (c *compiler) checkFeatures(at string, f map[string]Feature) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !c.set.features[name] {
			c.fault(shape.Join(at, name)+"#", fmt.Sprintf("unknown feature %q", name),
				"use one of "+shape.Near(slices.Collect(maps.Keys(c.set.features)), name))
		}
	}
}

func (c *compiler) compileGroups() {
	for _, id := range slices.Sorted(maps.Keys(c.d.Groups)) {
		g := c.d.Groups[id]
		folded := Group{Name: g.Name, Members: map[string][]string{}}
		if folded.Name == "" {
			folded.Name = id
		}
		for _, email := range slices.Sorted(maps.Keys(g.Members)) {
			at := shape.Join("/groups/"+id+"/members", email)
			rights := g.Members[email]
			if _, twice := folded.Members[foldEmail(email)]; twice {
				c.fault(at+"#", fmt.Sprintf("%q is in the group in two spellings", email), "keep one of them")
			}
			if slices.Contains(rights, CreateAutomation) && (!slices.Contains(rights, ViewLeads) || !slices.Contains(rights, ModifyLeads)) {
				c.fault(at, "create_automation stands without view_leads and modify_leads", "add them, or take it out")
			}
			folded.Members[foldEmail(email)] = rights
			p := c.person(email)
			p.groups = append(p.groups, id)
			p.rights[id] = rights
		}
		c.set.groups[id] = folded
	}
}

func (c *compiler) person(email string) *person {
	email = foldEmail(email)
	p := c.set.people[email]
	if p == nil {
		p = &person{rights: map[string][]string{}}
		c.set.people[email] = p
	}
	return p
}

func foldEmail(s string) string { return strings.ToLower(s) }

func (c *compiler) compileAssignments() {
	if len(c.d.Templates) > 0 && c.d.Assign == nil {
		// A file that was cut short would otherwise lift every restriction.
		c.fault("/templates", "there are templates, and nothing says who gets them", "add assign, or assign: [] when nobody is to get them yet")
	}
	for i, a := range c.d.Assign {
		at := "/assign/" + strconv.Itoa(i)
		r, ok := c.templates[a.Template]
		if !ok {
			if _, broken := c.d.Templates[a.Template]; !broken {
				c.fault(at+"/template", fmt.Sprintf("unknown template %q", a.Template), "use one of "+shape.Near(slices.Collect(maps.Keys(c.d.Templates)), a.Template))
			}
			r = &restriction{}
		}
		if len(a.Roles)+len(a.Groups)+len(a.Users) == 0 {
			c.fault(at, "nobody gets the template", "add roles, groups or users")
		}
		if a.Exclusive && len(a.Roles)+len(a.Groups) > 0 {
			c.fault(at+"/exclusive", "exclusive is for users alone", "take roles and groups out, or write two assignments")
		}
		con := &contribution{
			id: "template:" + a.Template, assign: i, exclusive: a.Exclusive, restriction: r,
			roles: set(a.Roles), groups: set(a.Groups), users: map[string]bool{},
		}
		if a.When != "" {
			cond, err := compileCondition(a.When, nil)
			if err != nil {
				c.fault(at+"/when", "the condition: "+err.Error(), "mend the expression; line and column count within it")
			}
			con.when = cond
			c.set.conditional = true
		}
		c.checkAssignment(at, a)
		for _, u := range a.Users {
			con.users[foldEmail(u)] = true
			c.person(u)
		}
		c.set.assigned = append(c.set.assigned, con)
	}
}

func (c *compiler) checkAssignment(at string, a Assignment) {
	for j, id := range a.Roles {
		if c.set.roles[id] == nil {
			c.fault(at+"/roles/"+strconv.Itoa(j), fmt.Sprintf("unknown role %q", id), "use one of "+shape.Near(slices.Collect(maps.Keys(c.set.roles)), id))
		}
		if id == "sales_user" && c.userRules[a.Template] {
			c.fault(at+"/roles/"+strconv.Itoa(j), fmt.Sprintf("the template %q switches user management, which sales users never have", a.Template), "leave sales_user out, or take the switch out of the template")
		}
	}
	for j, id := range a.Groups {
		if _, ok := c.set.groups[id]; !ok {
			c.fault(at+"/groups/"+strconv.Itoa(j), fmt.Sprintf("unknown group %q", id), "use one of "+shape.Near(slices.Collect(maps.Keys(c.set.groups)), id))
		}
		if c.userRules[a.Template] {
			c.fault(at+"/groups/"+strconv.Itoa(j), fmt.Sprintf("the template %q switches user management, which members of sales groups never have", a.Template), "assign it to roles or users")
		}
	}
}

func set(list []string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, v := range list {
		out[v] = true
	}
	return out
}

func (c *compiler) checkSettings() {
	n := c.d.Settings.Network
	for _, id := range slices.Sorted(maps.Keys(n.Roles)) {
		if c.set.roles[id] == nil {
			c.fault("/settings/network/roles/"+id+"#", fmt.Sprintf("unknown role %q", id), "use one of "+shape.Near(slices.Collect(maps.Keys(c.set.roles)), id))
		}
	}
	seen := map[string]bool{}
	for _, email := range slices.Sorted(maps.Keys(n.Users)) {
		if seen[foldEmail(email)] {
			c.fault(shape.Join("/settings/network/users", email)+"#", fmt.Sprintf("%q is here in two spellings", email), "keep one of them")
		}
		seen[foldEmail(email)] = true
	}
	c.checkSignIn()
	p := c.d.Settings.Password
	if need := p.MinUpper + p.MinLower + p.MinDigits + p.MinSpecial; need > p.MaxLength {
		c.fault("/settings/password", fmt.Sprintf("a password needs %d characters of certain kinds and may have %d", need, p.MaxLength), "raise max_length or ask for less")
	}
	if p.MinLength > p.MaxLength {
		c.fault("/settings/password/min_length", "min_length is above max_length", "raise max_length")
	}
	if p.MaxAge > 0 && p.MinAge >= p.MaxAge {
		c.fault("/settings/password/min_age", "min_age is not below max_age: a password could have to be changed and could not", "write a shorter time, or off")
	}
	if t := c.d.Settings.Throttle; t.Wait > t.MaxWait {
		c.fault("/settings/throttle/wait", "wait is longer than max_wait", "raise max_wait")
	}
	if s := c.d.Settings.Session; s.Absolute > 0 && s.Idle > s.Absolute {
		c.fault("/settings/session/idle", "idle is longer than absolute and would never be reached", "write a shorter time, or off")
	}
}

// checkSignIn holds the names and times of settings.sign_in against each other.
func (c *compiler) checkSignIn() {
	s := &c.d.Settings.SignIn
	for i, id := range s.SecondFactor.Roles {
		if c.set.roles[id] == nil {
			c.fault("/settings/sign_in/second_factor/roles/"+strconv.Itoa(i), fmt.Sprintf("unknown role %q", id), "use one of "+shape.Near(slices.Collect(maps.Keys(c.set.roles)), id))
		}
	}
	if f := s.SecondFactor; f.ResendGap >= f.CodeLifetime {
		c.fault("/settings/sign_in/second_factor/resend_gap", "resend_gap is not below code_lifetime: a code would be over before another one can be had", "write a shorter time")
	}
	if len(s.BreakGlass) > 0 && s.Provider == "" {
		c.fault("/settings/sign_in/break_glass", "break_glass without a provider: there is nothing to break", "name the provider, or take the key out")
	}
	names, users := map[string]bool{}, map[string]string{}
	for i, p := range s.Profiles {
		at := "/settings/sign_in/profiles/" + strconv.Itoa(i)
		if names[p.Name] {
			c.fault(at+"/name", fmt.Sprintf("the profile %q is here twice", p.Name), "give one another name")
		}
		names[p.Name] = true
		for j, u := range p.Users {
			if other, taken := users[foldEmail(u)]; taken {
				c.fault(at+"/users/"+strconv.Itoa(j), fmt.Sprintf("%q is in the profile %q already", u, other), "keep each person in one profile")
				continue
			}
			users[foldEmail(u)] = p.Name
		}
	}
}
