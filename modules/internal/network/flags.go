// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"strings"
)

// Category is one thing an address may be known for.
type Category string

// The categories, from the most to the least telling.
const (
	Tor              Category = "tor"               // a Tor exit
	AnonymousProxy   Category = "anonymous_proxy"   // a public proxy
	VPN              Category = "vpn"               // a commercial VPN
	ResidentialProxy Category = "residential_proxy" // a proxy behind a household's line
	Hosting          Category = "hosting"           // a data centre
	Anonymous        Category = "anonymous"         // anonymous in a way the source does not name
)

// categories is the order of the bits of Flags.
var categories = [...]Category{Tor, AnonymousProxy, VPN, ResidentialProxy, Hosting, Anonymous}

// Categories returns every category, most telling first.
func Categories() []Category { return append([]Category(nil), categories[:]...) }

// ParseCategory returns the category of that name. An unknown one is an error.
func ParseCategory(s string) (Category, error) {
	if flagOf(Category(s)) == 0 {
		return "", fmt.Errorf("%.60q is not a category: use one of %s", s, allFlags)
	}
	return Category(s), nil
}

// Action is what is done about an address of a category.
type Action string

// The actions.
const (
	BlockSignIn Action = "block_sign_in" // refuse sign-ins, let requests of a session pass; the default
	BlockAll    Action = "block_all"     // refuse everything
	Report      Action = "report"        // let pass, say so in the audit
)

// ParseAction returns the action of that name. An unknown one is an error.
func ParseAction(s string) (Action, error) {
	switch a := Action(s); a {
	case BlockSignIn, BlockAll, Report:
		return a, nil
	}
	return "", fmt.Errorf("%.60q is not an action: use block_sign_in, block_all or report", s)
}

// Flags is a set of categories. The zero value is an address nothing is known of.
type Flags uint8

const allFlags Flags = 1<<len(categories) - 1

// FlagsOf returns the set of the categories; unknown ones are left out.
func FlagsOf(cs ...Category) Flags {
	var f Flags
	for _, c := range cs {
		f |= flagOf(c)
	}
	return f
}

func flagOf(c Category) Flags {
	for i, x := range categories {
		if x == c {
			return 1 << i
		}
	}
	return 0
}

// Has says whether c is in the set.
func (f Flags) Has(c Category) bool { return f&flagOf(c) != 0 }

// first returns the most telling category of a set that is not empty.
func (f Flags) first() Category {
	for i, c := range categories {
		if f&(1<<i) != 0 {
			return c
		}
	}
	return ""
}

// String returns the categories as a comma list, "" for the empty set. It does
// not allocate.
func (f Flags) String() string { return flagNames[f&allFlags] }

var flagNames = func() (names [allFlags + 1]string) {
	for f := range names {
		var on []string
		for i, c := range categories {
			if f&(1<<i) != 0 {
				on = append(on, string(c))
			}
		}
		names[f] = strings.Join(on, ",")
	}
	return names
}()
