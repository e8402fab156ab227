// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Parse reads keys from the content of a key file or an environment variable:
// one key a line or separated by commas, the sealing one first, each 32 bytes in
// base64 (standard or URL alphabet, with or without padding) or hex; lines that
// begin with # are comments. name is what errors call the source; an error never
// quotes the content.
func Parse(name, content string) (*Vault, error) {
	var keys [][]byte
	for i, line := range strings.Split(content, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		for word := range strings.SplitSeq(line, ",") {
			k := decode(strings.TrimSpace(word))
			if len(k) != KeyBytes {
				return nil, fmt.Errorf("reading the vault's keys: %s:%d: this is no key: 32 bytes in base64 or hex are; `head -c 32 /dev/urandom | base64` makes one", name, i+1)
			}
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("reading the vault's keys: %s: there is no key in it; `head -c 32 /dev/urandom | base64` makes one", name)
	}
	v, err := New(keys...)
	if err != nil {
		return nil, fmt.Errorf("reading the vault's keys: %s: %w", name, err)
	}
	return v, nil
}

func decode(word string) []byte {
	if len(word) == hex.EncodedLen(KeyBytes) {
		if k, err := hex.DecodeString(word); err == nil {
			return k
		}
	}
	word = strings.TrimRight(word, "=")
	for _, e := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if k, err := e.Strict().DecodeString(word); err == nil {
			return k
		}
	}
	return nil
}

// Load reads a key file, see Parse.
func Load(path string) (*Vault, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the vault's keys: %w", err)
	}
	return Parse(path, string(b))
}

// LoadOrCreate reads a key file, and makes one with a new key, readable by its
// owner only, when there is none. Of several gateways that start together one
// makes it. A file that everybody on the machine may read is an error: what it
// protects is no longer protected.
func LoadOrCreate(path string) (*Vault, error) {
	for {
		fi, err := os.Stat(path)
		switch {
		case err == nil && fi.Mode().Perm()&0o007 != 0:
			return nil, fmt.Errorf("reading the vault's keys: everybody may read %s (mode %#o); run chmod 600 on it", path, fi.Mode().Perm())
		case err == nil:
			return Load(path)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("reading the vault's keys: %w", err)
		}
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making the vault's key: %w", err)
		}
	}
}

// create writes a whole file under another name first and links it: nobody ever
// reads half a key, and no existing file is replaced.
func create(path string) error {
	k, err := Generate()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("# The key of crmgate's vault. Keep a copy: without it, sealed secrets are lost.\n" + string(k.Reveal()) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
