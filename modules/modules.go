// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package modules imports everything crmgate adds to Caddy. It is what main and
// `xcaddy --with` import.
package modules

import (
	_ "github.com/crmgate/crmgate/modules/crmgate"
	_ "github.com/crmgate/crmgate/modules/gate"
	_ "github.com/crmgate/crmgate/modules/identity/adfs"
	_ "github.com/crmgate/crmgate/modules/identity/google"
	_ "github.com/crmgate/crmgate/modules/identity/httpapi"
	_ "github.com/crmgate/crmgate/modules/identity/local"
	_ "github.com/crmgate/crmgate/modules/identity/oidc"
	_ "github.com/crmgate/crmgate/modules/identity/saml"
	_ "github.com/crmgate/crmgate/modules/logs"
	_ "github.com/crmgate/crmgate/modules/match"
	_ "github.com/crmgate/crmgate/modules/records"
	_ "github.com/crmgate/crmgate/modules/state"
	_ "github.com/crmgate/crmgate/modules/upstream"
)
