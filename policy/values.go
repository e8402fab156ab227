// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"net/netip"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

// Duration is a time.Duration that is written as "30m", or "off" for zero.
type Duration time.Duration

// D returns the duration as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalYAML reads a duration or "off".
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	if n.Value == "off" {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(n.Value)
	*d = Duration(v)
	return err
}

// MarshalYAML writes the duration the short way.
func (d Duration) MarshalYAML() (any, error) {
	if d == 0 {
		return "off", nil
	}
	return shape.Brief(time.Duration(d)), nil
}

// Prefixes is a list of address ranges; a single address is a range of one.
type Prefixes []netip.Prefix

// UnmarshalYAML reads a list of addresses and CIDR ranges.
func (p *Prefixes) UnmarshalYAML(n *yaml.Node) error {
	out := make(Prefixes, 0, len(n.Content))
	for _, e := range n.Content {
		x, err := shape.ParsePrefix(e.Value)
		if err != nil {
			return err
		}
		out = append(out, x)
	}
	*p = out
	return nil
}

// MarshalYAML writes each range; a range of one as its address.
func (p Prefixes) MarshalYAML() (any, error) {
	out := make([]string, len(p))
	for i, x := range p {
		out[i] = x.String()
		if x.IsSingleIP() {
			out[i] = x.Addr().String()
		}
	}
	return out, nil
}

// RowsRule says which records of an entity may be seen: whose they are, and what
// must hold of each.
type RowsRule struct {
	Scope string // own, group, all, none; "" says nothing
	CEL   string // condition over record and user; "" for none
}

// IsZero reports a rule that says nothing.
func (r RowsRule) IsZero() bool { return r == RowsRule{} }

// UnmarshalYAML reads a scope or {cel: ..., scope: ...}.
func (r *RowsRule) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		r.Scope = n.Value
		return nil
	}
	var w struct {
		CEL   string `yaml:"cel"`
		Scope string `yaml:"scope"`
	}
	if err := n.Decode(&w); err != nil {
		return err
	}
	*r = RowsRule{Scope: w.Scope, CEL: w.CEL}
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (r RowsRule) MarshalYAML() (any, error) {
	if r.CEL == "" {
		return r.Scope, nil
	}
	out := map[string]string{"cel": r.CEL}
	if r.Scope != "" {
		out["scope"] = r.Scope
	}
	return out, nil
}

// Level is one cell of a template's matrix.
type Level uint8

// The levels, in order of restriction: merging takes the larger one.
const (
	Full Level = iota
	PartialAccess
	NoAccess
)

// String returns the level as a policy writes it.
func (l Level) String() string {
	switch l {
	case Full:
		return "full"
	case PartialAccess:
		return "partial"
	}
	return "none"
}

// Access is a cell as written: full, none, or partial with what is taken away.
type Access struct {
	Level   Level
	Partial Partial // set when Level is PartialAccess
}

// UnmarshalYAML reads full, none or {partial: {...}}.
func (a *Access) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		var w struct {
			Partial Partial `yaml:"partial"`
		}
		err := n.Decode(&w)
		*a = Access{Level: PartialAccess, Partial: w.Partial}
		return err
	}
	switch n.Value {
	case "full":
		*a = Access{Level: Full}
	case "none":
		*a = Access{Level: NoAccess}
	default:
		return errors.New("neither full nor none")
	}
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (a Access) MarshalYAML() (any, error) {
	if a.Level == PartialAccess {
		return map[string]Partial{"partial": a.Partial}, nil
	}
	return a.Level.String(), nil
}
