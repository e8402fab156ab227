// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package main is crmgate: Caddy with the gate in front of a CRM built in.
package main

import (
	"os"
	"runtime/debug"
	_ "time/tzdata"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/crmgate/crmgate/modules"
)

// gcPercent trades some memory for a tenth of the CPU per request (see
// docs/performance.md); Caddy bounds memory by the container's limit.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	caddy.CustomBinaryName = "crmgate"
	caddy.CustomLongDescription = "crmgate guards a CRM: who may see, change and take away what.\nIt is Caddy with the gate built in; everything Caddy does, it does."
	caddycmd.Main()
}
