// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Entry is one address or network of a list.
type Entry struct {
	Prefix      netip.Prefix // masked; a single address is a /32 or /128
	Description string       // the comment behind it, "" without one
	Line        int          // from 1
}

// SyntaxError says where a list is wrong and how to mend it.
type SyntaxError struct {
	File      string // the name given to the parser
	Line, Col int    // from 1; Col counts bytes
	Msg       string
}

// Error returns "file:line:col: what is wrong and how to mend it".
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
}

// maxListErrors bounds how many errors of one list are told at once.
const maxListErrors = 20

// ParseList parses an allow-list: IP addresses and CIDR networks, comma
// separated, on any number of lines. What follows a # is a comment; it becomes
// the description of the entries before it on the line:
//
//	203.0.113.7, 203.0.113.9   # head office
//	2001:db8:40::/48           # branch
//
// name stands for the list in errors. Every bad entry is an error of its own (a
// *SyntaxError, joined with errors.Join, at most 20 of them) and a list with
// one bad entry yields nothing. An empty list is not an error.
func ParseList(name string, data []byte) ([]Entry, error) {
	var (
		out  []Entry
		errs []error
		line int
	)
	text := strings.TrimPrefix(string(data), "\ufeff")
	for raw := range strings.Lines(text) {
		line++
		raw = strings.TrimRight(raw, "\r\n")
		items, comment, _ := strings.Cut(raw, "#")
		if strings.TrimSpace(items) == "" {
			continue
		}
		col := 1
		for item := range strings.SplitSeq(items, ",") {
			word := strings.TrimSpace(item)
			at := col + strings.Index(item, word)
			col += len(item) + 1
			p, err := ParsePrefix(word)
			if err != nil {
				errs = append(errs, &SyntaxError{File: name, Line: line, Col: at, Msg: err.Error()})
				continue
			}
			out = append(out, Entry{Prefix: p, Description: strings.TrimSpace(comment), Line: line})
		}
		if len(errs) >= maxListErrors {
			break
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs[:min(len(errs), maxListErrors)]...)
	}
	return out, nil
}

// Prefixes returns the prefixes of a parsed list.
func Prefixes(list []Entry) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, e := range list {
		out[i] = e.Prefix
	}
	return out
}

// ParsePrefix parses one address or one CIDR network. A network must not have
// host bits set: whoever writes 203.0.113.7/24 means either one address or 256,
// and guessing would open or close too much. IPv4 in IPv6 clothes is unmapped.
func ParsePrefix(s string) (netip.Prefix, error) {
	switch {
	case s == "":
		return netip.Prefix{}, errors.New("an entry is empty: remove the comma that is too many")
	case strings.Contains(s, "%"):
		return netip.Prefix{}, fmt.Errorf("%.60q has a zone: write the address without the part from %%", s)
	case strings.Contains(s, "-"):
		return netip.Prefix{}, fmt.Errorf("%.60q looks like a range: write it as CIDR networks", s)
	case !strings.Contains(s, "/"):
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%.60q is neither an IP address nor a CIDR network such as 203.0.113.0/24", s)
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%.60q is not a CIDR network such as 203.0.113.0/24 or 2001:db8::/32", s)
	}
	return canonical(p)
}

// canonical unmaps p and refuses what could be meant in two ways.
func canonical(p netip.Prefix) (netip.Prefix, error) {
	switch {
	case !p.IsValid():
		return netip.Prefix{}, errors.New("an entry is not a network at all")
	case p.Addr().Zone() != "":
		return netip.Prefix{}, fmt.Errorf("%s has a zone: write it without", p)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%s mixes IPv4 and IPv6: write the IPv4 network instead", p)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if m := p.Masked(); m != p {
		return netip.Prefix{}, fmt.Errorf("%s has host bits set: write %s for the network or %s for the one address", p, m, p.Addr())
	}
	return p, nil
}
