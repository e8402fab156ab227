// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// checkNames refuses header names of the bridges in which the CRM would not be
// told who asks: names that are none, that the connection itself uses, or that
// two of them share, where chance would decide what arrives.
func (b *BridgeConfig) checkNames(keys []string) error {
	type named struct{ by, name string }
	var all []named
	if b.JWT != nil {
		all = append(all, named{"jwt", b.JWT.Header})
	}
	if h := b.Headers; h != nil {
		if *h == (HeaderBridge{}) {
			return errors.New("reading bridge headers: it names no header; give user, email, name or role")
		}
		for _, name := range []string{h.User, h.Email, h.Name, h.Role} {
			if name != "" {
				all = append(all, named{"headers", name})
			}
		}
	}
	if b.Credentials != nil && b.Credentials.Token != nil {
		all = append(all, named{"credentials", b.Credentials.Token.Header})
	}
	taken := map[string]string{}
	if b.Keys {
		for _, name := range keys {
			taken[foldName(name)] = "keys"
		}
	}
	for _, n := range all {
		if !httpguts.ValidHeaderFieldName(n.name) || connectionsOwn[http.CanonicalHeaderKey(n.name)] {
			return fmt.Errorf("reading bridge %s: %q is no header the CRM can be told by; write one such as X-Crm-User", n.by, n.name)
		}
		if by, ok := taken[foldName(n.name)]; ok {
			return fmt.Errorf("reading bridge %s: bridge %s uses the header %q already; choose another", n.by, by, n.name)
		}
		taken[foldName(n.name)] = n.by
	}
	return nil
}

// connectionsOwn are headers that are not handed on as they are set, or that
// belong to the request and not to who asks.
var connectionsOwn = map[string]bool{
	"Connection": true, "Content-Encoding": true, "Content-Length": true, "Content-Type": true, "Cookie": true, "Host": true, "Keep-Alive": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}
