// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// TorList is a parsed list of Tor exits.
type TorList struct {
	Exits []netip.Prefix
	ended bool // the last line was ended: the file was not cut there
}

// ErrNoTorExits is wrapped when a file holds no Tor exit.
var ErrNoTorExits = errors.New("no Tor exit in the file")

// Widths beyond which a network cannot be a Tor exit: such a line would make
// every client a Tor client.
const (
	torWidest4 = 16
	torWidest6 = 32
)

// ParseTor parses a list of Tor exits in any of the three forms that are
// published: the bulk list (one address a line), the exit-addresses records
// (ExitNode, Published, LastStatus, ExitAddress lines) and ipset lists (addresses
// and CIDR networks with # comments).
//
// The first line that is none of these is an error with its place, and so are an
// HTML page and a list without any exit: the caller keeps the list it has.
func ParseTor(name string, data []byte) (*TorList, error) {
	list := &TorList{ended: bytes.HasSuffix(data, []byte("\n"))}
	line := 0
	for raw := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		line++
		text, _, _ := strings.Cut(raw, "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		p, ok, err := torLine(fields)
		if err != nil {
			return nil, &SyntaxError{File: name, Line: line, Col: 1 + strings.Index(raw, fields[0]), Msg: err.Error()}
		}
		if ok {
			list.Exits = append(list.Exits, p)
		}
	}
	if len(list.Exits) == 0 {
		return nil, fmt.Errorf("%s: %w: it must hold one address a line or ExitAddress lines", name, ErrNoTorExits)
	}
	return list, nil
}

// torLine reads one line; ok is false for lines that carry no address.
func torLine(fields []string) (p netip.Prefix, ok bool, err error) {
	word := fields[0]
	switch word {
	case "ExitNode":
		if len(fields) != 2 {
			return p, false, errors.New("an ExitNode line must hold one fingerprint")
		}
		return p, false, nil
	case "Published", "LastStatus":
		if len(fields) != 3 {
			return p, false, fmt.Errorf("a %s line must hold a date and a time", word)
		}
		return p, false, nil
	case "ExitAddress":
		if len(fields) != 4 {
			return p, false, errors.New("an ExitAddress line must hold an address, a date and a time")
		}
		word = fields[1]
	default:
		if len(fields) != 1 {
			return p, false, fmt.Errorf("%.60q is not a line of a Tor list", strings.Join(fields, " "))
		}
	}
	if p, err = ParsePrefix(word); err != nil {
		return p, false, err
	}
	if p.Addr().Is4() && p.Bits() < torWidest4 || p.Addr().Is6() && p.Bits() < torWidest6 {
		return p, false, fmt.Errorf("%s is too wide to be Tor exits: the widest are /%d and, for IPv6, /%d", p, torWidest4, torWidest6)
	}
	return p, true, nil
}

// acceptTor refuses a list that was most likely cut: one whose last line is not
// ended where the old one's was, or with less than a quarter of the old exits.
func acceptTor(old, new *TorList) error {
	if old.ended && !new.ended {
		return errors.New("the last line is not ended: the list looks cut")
	}
	if len(old.Exits) >= 40 && len(new.Exits) < len(old.Exits)/4 {
		return fmt.Errorf("the list shrank from %d to %d exits and looks cut: if it is right, reload the configuration", len(old.Exits), len(new.Exits))
	}
	return nil
}
