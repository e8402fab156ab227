// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package secretref

import (
	"errors"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for raw, ok := range map[string]bool{
		"{env.REDIS_URL}":                            true,
		"{file./run/secrets/redis}":                  true,
		"redis://127.0.0.1:6379/0":                   true,
		"redis://gate@127.0.0.1:6379":                true,
		"redis://:{env.REDIS_PASSWORD}@127.0.0.1":    true,
		"redis://:hunter2@127.0.0.1:6379":            false,
		"postgres://u:hunter2@db/crm":                false,
		"host=db user=u password=hunter2 dbname=crm": false,
	} {
		err := Check(raw)
		if (err == nil) != ok {
			t.Errorf("Check(%q) = %v: a secret in the configuration is readable through the admin API", raw, err)
		}
		if err != nil && (!errors.Is(err, ErrInline) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("Check(%q) says %q: the message must say how to mend it and not repeat the secret", raw, err)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"redis://:hunter2@127.0.0.1:6379/0":      "redis://@127.0.0.1:6379/0",
		"postgres://u:hunter2@db/crm?sslmode=on": "postgres://u@db/crm?sslmode=on",
		"postgres://db/crm?password=hunter2":     "postgres://db/crm",
		"host=db password=hunter2":               "(unparsable address)",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}
