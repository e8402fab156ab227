// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package caddyfiles holds the example Caddyfiles and the policies beside them.
// Each is adapted, checked for formatting and validated by a test; the quickstart
// is what the demo runs.
package caddyfiles

import _ "embed"

// Quickstart is the demo's Caddyfile.
//
//go:embed quickstart.Caddyfile
var Quickstart []byte

// QuickstartPolicy is the demo's policy.
//
//go:embed quickstart-policy.yaml
var QuickstartPolicy []byte
