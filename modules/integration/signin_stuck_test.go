// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFactorThatCannotBeGivenOpensNoEnrolment: when an administrator no longer
// allows the only kind of factor a person has, the password alone must not be
// enough to set up another: whoever stole the password would do just that.
func TestFactorThatCannotBeGivenOpensNoEnrolment(t *testing.T) {
	s := &setup{crm: serve(t, new(recorder)), policy: factorPolicy, options: "origin https://localhost:{port}"}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	inside := d.browser(t)
	inside.enrol("asha@example.com")

	policy := filepath.Join(filepath.Dir(s.data), filepath.Base(s.data)+"-policy.yaml")
	change := func(text string) {
		t.Helper()
		before := d.admin(t, http.MethodGet, "/crmgate/info", "")
		write(t, policy, text)
		eventually(t, 20*time.Second, "the new policy is in force", func() bool {
			return d.admin(t, http.MethodGet, "/crmgate/info", "") != before
		})
	}
	change(strings.Replace(factorPolicy, "roles: [administrator]", "roles: [administrator], methods: [passkey]", 1))
	b := d.browser(t)
	res, step := b.begin("asha@example.com", password)
	if res.StatusCode != http.StatusUnauthorized || step.Step != "" || b.inside() {
		t.Errorf("a password alone goes on to %q: %s %s", step.Next, res.Status, res.text())
	}
	if !strings.Contains(res.text(), "second_factor") {
		t.Errorf("the person is not told why: %s", res.text())
	}
	if res := inside.post("/.crmgate/api/step-up", "{}"); res.StatusCode != http.StatusUnauthorized || res.reason() != "second_factor" {
		t.Errorf("a session and the password alone are a fresh proof: %s %s", res.Status, res.text())
	}

	change(factorPolicy)
	if _, step := d.browser(t).begin("asha@example.com", password); step.Next != "second_factor" {
		t.Errorf("a factor that is allowed again is not asked: %+v", step)
	}
}
