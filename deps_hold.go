// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build deps

package crmgate

import (
	_ "cel.dev/cel-go/cel"
	_ "github.com/beevik/etree"
	_ "github.com/boombuler/barcode/qr"
	_ "github.com/ccojocar/zxcvbn-go"
	_ "github.com/coreos/go-oidc/v3/oidc"
	_ "github.com/crewjam/saml"
	_ "github.com/go-webauthn/webauthn/webauthn"
	_ "github.com/pquerna/otp/totp"
	_ "github.com/russellhaering/goxmldsig"
	_ "github.com/wneessen/go-mail"
	_ "golang.org/x/oauth2"
)
