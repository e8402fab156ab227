// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// tokens says whether a map masks a field by a token, which takes a key.
func tokens(m *resource.Map) bool {
	for _, e := range m.Entities {
		for _, f := range e.Fields {
			if f.Mask != nil && f.Mask.Fn == "token" {
				return true
			}
		}
	}
	return false
}

// anyKey stands in for the account's key where a policy is only checked.
var anyKey = policy.WithMaskKey(make([]byte, 32))

// maskKey gives the compiler the key tokens are made with: it comes from the
// vault's, so that gateways with one key, and one gateway after a restart, give a
// value the same token, and nobody without it can try values out.
//
// At the very first start the key does not exist before the stores are opened. The
// policy is then only checked, and compiled again by Start.
func (a *App) maskKey() ([]policy.Option, error) {
	if !tokens(a.resources) {
		return nil, nil
	}
	if a.Key == "" {
		if _, err := os.Stat(filepath.Join(a.Data, "vault.key")); errors.Is(err, fs.ErrNotExist) {
			a.keyless = true
			return []policy.Option{anyKey}, nil
		}
	}
	v, err := a.openVault()
	if err != nil {
		return nil, err
	}
	return []policy.Option{policy.WithMaskKey([]byte(v.LookupHMAC("mask token", a.Account)))}, nil
}

// compileAgain replaces a policy that was compiled before there was a key. No
// request was decided by it: the stores were not open.
func (a *App) compileAgain() error {
	if !a.keyless {
		return nil
	}
	a.keyless = false
	name, source := "built-in policy", []byte(nil)
	if a.watcher.file != nil {
		name, source = a.Policy, a.watcher.file.Current().source
	}
	c, err := a.compile(name, source)
	if err != nil {
		return fmt.Errorf("compiling the policy with the account's key: %w", err)
	}
	a.install(c)
	return nil
}
