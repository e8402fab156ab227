// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Conditions are written in CEL (https://cel.dev), in two places: the rows of a
// template's entity, over record and user, and the when of an assignment, over user
// alone. They are checked when the policy is compiled; what a condition may cost
// when it is evaluated is limited.

// Limits of conditions.
const (
	maxCondition      = 2000   // characters
	maxConditionDepth = 32     // nesting of the text
	maxConditionCost  = 20_000 // steps of one evaluation, about a millisecond
	maxConditionNames = 100    // fields of all conditions of one entity
)

// condition is one compiled expression. It is immutable and safe for concurrent
// use.
type condition struct {
	text    string
	program cel.Program
	texts   cel.Program                // where every value is text; nil where it cannot be asked so
	cannot  error                      // why
	fields  map[string]*resource.Field // the record's fields it looks at, by the map's name
}

// userFields are the members of user. Owner ids are as the directory has them.
var userFields = map[string]struct {
	kind *cel.Type
	get  func(*conditionUser) any
}{
	"id":     {cel.StringType, func(u *conditionUser) any { return u.p.ID }},
	"email":  {cel.StringType, func(u *conditionUser) any { return u.p.Email }},
	"name":   {cel.StringType, func(u *conditionUser) any { return u.p.Name }},
	"role":   {cel.StringType, func(u *conditionUser) any { return u.p.Role }},
	"kind":   {cel.StringType, func(u *conditionUser) any { return string(u.p.Kind) }},
	"device": {cel.StringType, func(u *conditionUser) any { return u.p.Device }},
	"groups": {cel.ListType(cel.StringType), func(u *conditionUser) any { return u.groups }},
	"owners": {cel.ListType(cel.StringType), func(u *conditionUser) any { return u.p.OwnerIDs }},
}

// conditionUser is what a condition knows of the person.
type conditionUser struct {
	p      *Principal
	groups []string
}

// conditionRecord is what a condition knows of a record.
type conditionRecord struct {
	fields map[string]*resource.Field
	member func(folded string) plan.Value
}

// errField is a field that nothing can be said about.
var errField = errors.New("a field of the record is not there, or there in two versions")

// value finds the value of a field: the one that its names have in common. Where
// they have different ones it is of a kind that nothing can be said about, so that
// the field is there and has no answer.
func (r *conditionRecord) value(name string) (plan.Value, error) {
	var out plan.Value
	for _, wire := range r.fields[name].Names {
		switch v := r.member(resource.Fold(wire)); {
		case v.Kind == 0 || v == out:
		case out.Kind == 0:
			out = v
		default:
			return plan.Value{Kind: '['}, nil
		}
	}
	if out.Kind == 0 {
		return out, errField
	}
	return out, nil
}

// native is a value as CEL has it. Numbers are int where they are whole.
func native(v plan.Value) (any, error) {
	switch v.Kind {
	case '"':
		return v.Text, nil
	case '0':
		if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
			return n, nil
		}
		f, err := strconv.ParseFloat(v.Text, 64)
		if err != nil {
			return nil, errField
		}
		return f, nil
	case 't', 'f':
		return v.Kind == 't', nil
	case 'n':
		return types.NullValue, nil
	}
	return nil, errField
}

// conditionTypes tells the checker which members record and user have.
type conditionTypes struct {
	types.Provider
	entity *resource.Entity
	used   map[string]*resource.Field
	kind   *types.Type // of a record's fields
}

const (
	recordType = "crmgate.record"
	userType   = "crmgate.user"
)

// FindStructType returns the types of record and user.
func (t *conditionTypes) FindStructType(name string) (*types.Type, bool) {
	if name == recordType || name == userType {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return t.Provider.FindStructType(name)
}

// FindStructFieldNames returns the members of record and user.
func (t *conditionTypes) FindStructFieldNames(name string) ([]string, bool) {
	switch name {
	case recordType:
		return slices.Sorted(maps.Keys(t.entity.Fields)), true
	case userType:
		return slices.Sorted(maps.Keys(userFields)), true
	}
	return t.Provider.FindStructFieldNames(name)
}

// FindStructFieldType returns one member. The types of a record's fields are known
// only when it is there, apart from formats that have nothing but text.
func (t *conditionTypes) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	switch name {
	case recordType:
		f := t.entity.Fields[field]
		if f == nil {
			return nil, false
		}
		t.used[field] = f
		return &types.FieldType{
			Type: t.kind,
			IsSet: func(target any) bool {
				r, ok := target.(*conditionRecord)
				if !ok {
					return false
				}
				v, err := r.value(field)
				return err == nil && v.Kind != 'n'
			},
			GetFrom: func(target any) (any, error) {
				r, ok := target.(*conditionRecord)
				if !ok {
					return nil, errField
				}
				v, err := r.value(field)
				if err != nil {
					return nil, err
				}
				return native(v)
			},
		}, true
	case userType:
		f, ok := userFields[field]
		if !ok {
			return nil, false
		}
		return &types.FieldType{
			Type:  f.kind,
			IsSet: func(target any) bool { return true },
			GetFrom: func(target any) (any, error) {
				u, ok := target.(*conditionUser)
				if !ok {
					return nil, errField
				}
				return f.get(u), nil
			},
		}, true
	}
	return t.Provider.FindStructFieldType(name, field)
}

// NewValue makes none of record and user: an expression cannot.
func (t *conditionTypes) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if name == recordType || name == userType {
		return types.NewErr("%s cannot be made", name)
	}
	return t.Provider.NewValue(name, fields)
}

// compileCondition checks a condition on the user, and on records of e unless that
// is nil. Errors have line and column within the text, and no values.
func compileCondition(text string, e *resource.Entity) (out *condition, err error) {
	defer func() {
		if p := recover(); p != nil { // the library's, on text that no person writes
			out, err = nil, errors.New("1:1: the condition cannot be read")
		}
	}()
	out = &condition{text: text}
	if out.program, out.fields, err = conditionProgram(text, e, types.DynType); err != nil {
		return nil, err
	}
	if e != nil {
		out.texts, _, out.cannot = conditionProgram(text, e, types.StringType)
	}
	return out, nil
}

// conditionProgram compiles a condition on records whose fields are of a kind. What
// a text is compared with must be a text: the one of a number is not that number,
// and every record would seem to have another one.
func conditionProgram(text string, e *resource.Entity, kind *types.Type) (cel.Program, map[string]*resource.Field, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, nil, fmt.Errorf("1:1: %w", err)
	}
	provider := &conditionTypes{Provider: registry, entity: e, used: map[string]*resource.Field{}, kind: kind}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry), cel.CustomTypeProvider(provider),
		cel.ParserRecursionLimit(maxConditionDepth), cel.ParserExpressionSizeLimit(maxCondition),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(1)),
		cel.Variable("user", cel.ObjectType(userType)),
	}
	if e != nil {
		options = append(options, cel.Variable("record", cel.ObjectType(recordType)))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, nil, fmt.Errorf("1:1: %w", err)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, nil, celFault(issues)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, nil, fmt.Errorf("1:1: the condition is of type %s and not true or false", ast.OutputType())
	}
	if kind != types.DynType {
		for _, t := range ast.NativeRep().TypeMap() {
			if anything(t) {
				return nil, nil, errors.New("1:1: a value in it may be of any type")
			}
		}
	}
	program, err := env.Program(ast, cel.CostLimit(maxConditionCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, nil, fmt.Errorf("1:1: %w", err)
	}
	return program, provider.used, nil
}

// anything says whether values of a type, or values in them, may be of any type.
func anything(t *types.Type) bool {
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.TypeParamKind:
		return true
	}
	return slices.ContainsFunc(t.Parameters(), anything)
}

// celFault is the first thing wrong with a condition, on one line.
func celFault(issues *cel.Issues) error {
	list := issues.Errors()
	if len(list) == 0 {
		return errors.New("1:1: the condition cannot be read")
	}
	first := list[0]
	what := strings.Join(strings.Fields(first.Message), " ")
	return fmt.Errorf("%d:%d: %.200s", max(1, first.Location.Line()), max(0, first.Location.Column())+1, what)
}

// errCondition is a condition that came to no answer.
var errCondition = errors.New("the condition came to no answer")

// holds evaluates the condition. An error never holds a value.
func (c *condition) holds(u *conditionUser, member func(string) plan.Value) (bool, error) {
	return c.run(c.program, u, member)
}

func (c *condition) run(program cel.Program, u *conditionUser, member func(string) plan.Value) (ok bool, err error) {
	defer func() {
		if p := recover(); p != nil { // the library's; the record is not visible
			ok, err = false, errCondition
		}
	}()
	if u == nil || program == nil {
		return false, errCondition
	}
	vars := map[string]any{"user": u}
	if member != nil {
		vars["record"] = &conditionRecord{fields: c.fields, member: member}
	}
	out, _, err := program.Eval(vars)
	if err != nil {
		return false, errCondition // its text may hold a value of the record
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, errCondition
	}
	return yes, nil
}

// allOf is several conditions of one entity, as a row filter has them.
type allOf struct {
	conds []*condition
	needs []string
	wire  []string
	texts bool // every value is text
}

// where is the condition on rows of an entity; nil when there is none.
func (e *entityRestriction) where() plan.Condition {
	if len(e.conds) == 0 {
		return nil
	}
	out := &allOf{conds: e.conds}
	for _, c := range e.conds {
		for _, name := range slices.Sorted(maps.Keys(c.fields)) {
			for i, wire := range c.fields[name].Names {
				if i == 0 && !slices.Contains(out.wire, wire) {
					out.wire = append(out.wire, wire)
				}
				if fold := resource.Fold(wire); !slices.Contains(out.needs, fold) {
					out.needs = append(out.needs, fold)
				}
			}
		}
	}
	return out
}

// whereTexts is the condition on rows of an entity in a format that has nothing but
// text; an error says which condition cannot be asked so.
func (e *entityRestriction) whereTexts() (plan.Condition, error) {
	out, _ := e.where().(*allOf)
	if out == nil {
		return nil, nil
	}
	for _, c := range out.conds {
		if c.texts == nil {
			return nil, fmt.Errorf("the condition %.60q: %w", c.text, c.cannot)
		}
	}
	out.texts = true
	return out, nil
}

// Needs returns the folded names of the members the conditions look at.
func (a *allOf) Needs() []string { return a.needs }

// Wire returns the first name on the wire of each field they look at.
func (a *allOf) Wire() []string { return a.wire }

// Holds says whether all conditions hold.
func (a *allOf) Holds(v *plan.Viewer, member func(string) plan.Value) (bool, error) {
	if v == nil {
		return false, errCondition
	}
	u, _ := v.User.(*conditionUser)
	if l, ok := v.User.(*lookup); ok {
		u = l.conditionUser
	}
	for _, c := range a.conds {
		program := c.program
		if a.texts {
			program = c.texts
		}
		if ok, err := c.run(program, u, member); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// joinConditions returns the conditions of both, each once.
func joinConditions(a, b []*condition) []*condition {
	out := slices.Clone(a)
	for _, c := range b {
		if !slices.ContainsFunc(out, func(o *condition) bool { return o.text == c.text }) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(x, y *condition) int { return strings.Compare(x.text, y.text) })
	return out
}

// knowing is a viewer who is told to conditions, when the rights have any.
func (s *Set) knowing(v *plan.Viewer, r *rights, p *Principal) *plan.Viewer {
	if !r.conditional {
		return v
	}
	twin := *v
	twin.User = s.conditionUser(p)
	return &twin
}

func (s *Set) conditionUser(p *Principal) *conditionUser {
	return &conditionUser{p: p, groups: s.GroupsOf(p.Email)}
}
