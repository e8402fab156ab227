// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package saml proves people by an identity provider that speaks SAML 2.0, such
// as ADFS: a service provider with signed requests, single sign-on by redirect
// and POST, and single logout in both directions.
//
// A person is proved only by an assertion that was read from the very bytes a
// signature of the provider was verified over, that is the only one of its
// document, and that names this gate, this request and this moment. What is
// unsigned, partly signed, signed with SHA-1, by a certificate outside of the
// provider's metadata or outside of the pinned thumbprints, too old, too early,
// seen before, or shaped otherwise than an answer needs to be, is refused as a
// *signin.DeniedError. So are a document type, a comment, a processing
// instruction and CDATA anywhere in an answer: no provider sends them, and every
// known trick with the text of a name needs one.
//
// Metadata that cannot be read or that holds no usable certificate never replaces
// metadata that could; with none, or with metadata past its validUntil, nobody is
// signed in and the error says so. A state store that cannot remember an
// assertion is an error, and nobody is signed in.
//
// XML signatures are verified by goxmldsig; messages are built with
// github.com/crewjam/saml. Answers are not read with that library's ServiceProvider:
// it reads a document after the signature was verified in place, takes the
// first good assertion of several, and keeps clock and skew in globals.
//
// Not spoken: the artifact and SOAP bindings, encrypted name identifiers, ECDSA
// signatures, RSA 1.5 and 3DES encryption.
package saml

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// ClaimEmail is the claim ADFS gives a mail address under.
const ClaimEmail = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"

// The name identifier formats worth asking for.
const (
	FormatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	FormatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	FormatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	FormatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
)

// Defaults and bounds of a Config.
const (
	DefaultSkew    = time.Minute
	MaxSkew        = 5 * time.Minute
	DefaultRefresh = time.Hour
	MinRefresh     = time.Minute
	// MaxStale is how long metadata of a URL that no longer answers is believed.
	MaxStale = 7 * 24 * time.Hour
)

// Binding is how a sign-in request travels.
type Binding string

// The bindings. BindingAny takes redirect when the provider offers it, otherwise POST.
const (
	BindingAny      Binding = ""
	BindingRedirect Binding = "redirect"
	BindingPOST     Binding = "post"
)

// Config says which provider, and what is believed of it.
type Config struct {
	Name  string // 1 to 32 letters a-z, digits and -; stands in paths
	Label string // what people read on the button; "": Name
	// Metadata is the https URL of the provider's metadata, or the path of a file.
	// http is taken for a loopback address only. Redirects are not followed.
	Metadata string
	Roots    *x509.CertPool // who may vouch for the URL's server; nil: the system's
	// MetadataThumbprints, when there are any, ask for metadata signed by one of
	// these certificates.
	MetadataThumbprints []string
	// EntityID is the provider's. "": the only one of the metadata.
	EntityID string
	// Thumbprints, when there are any, are the only signing certificates believed,
	// whatever the metadata says: SHA-1 or SHA-256 in hex, as certificate dialogs
	// and openssl print them.
	Thumbprints []string
	// OwnEntityID is the gate's name at the provider, and the audience of its
	// assertions. "": the URL of the gate's metadata.
	OwnEntityID string
	Binding     Binding
	// EmailAttributes are names of attributes that may hold the address: the first
	// one that is there counts. nil: ClaimEmail. A name identifier of FormatEmail
	// counts when none is there.
	EmailAttributes []string
	NameIDFormat    string        // to ask for; "": the provider decides
	Skew            time.Duration // how far clocks may differ, 0 to MaxSkew
	// IDPInitiated takes answers nobody asked for. The person cannot be protected
	// from being signed in as somebody else then.
	IDPInitiated bool
	Refresh      time.Duration // how old metadata may grow before it is read again; 0: DefaultRefresh
	// Certificate and Key are PEM. Both empty: a pair is made once and kept sealed
	// in the records, for all gateways of the account.
	Certificate, Key []byte
}

// Provider is one identity provider. Make it with New. Safe for concurrent use.
type Provider struct {
	cfg  Config
	idp  *source
	own  atomic.Pointer[keyPair]
	lock sync.Mutex // one at a time reads the own key pair
}

var (
	_ signin.RedirectProvider = (*Provider)(nil)
	_ signin.Leaver           = (*Provider)(nil)
	_ signin.Listener         = (*Provider)(nil)
)

var nameOK = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// New checks a configuration. A metadata file is read at once; a URL when it is
// needed first, so that a provider that is down does not stop the gate.
func New(cfg Config) (*Provider, error) {
	switch {
	case !nameOK.MatchString(cfg.Name):
		return nil, fmt.Errorf("the name %q is not 1 to 32 letters a-z, digits and -", cfg.Name)
	case cfg.Metadata == "":
		return nil, errors.New("metadata is missing: the URL or the file of the provider's metadata, for ADFS https://<server>/FederationMetadata/2007-06/FederationMetadata.xml")
	case cfg.Binding != BindingAny && cfg.Binding != BindingRedirect && cfg.Binding != BindingPOST:
		return nil, fmt.Errorf("binding %q is neither redirect nor post", cfg.Binding)
	case cfg.Skew < 0 || cfg.Skew > MaxSkew:
		return nil, fmt.Errorf("skew %v is not between 0 and %v", cfg.Skew, MaxSkew)
	case cfg.Refresh != 0 && cfg.Refresh < MinRefresh:
		return nil, fmt.Errorf("refresh %v is less than %v", cfg.Refresh, MinRefresh)
	case (len(cfg.Key) == 0) != (len(cfg.Certificate) == 0):
		return nil, errors.New("certificate and key go together: one of them is missing")
	}
	if cfg.Label == "" {
		cfg.Label = cfg.Name
	}
	if cfg.Refresh == 0 {
		cfg.Refresh = DefaultRefresh
	}
	if len(cfg.EmailAttributes) == 0 {
		cfg.EmailAttributes = []string{ClaimEmail}
	}
	if slices.Contains(cfg.EmailAttributes, "") {
		return nil, errors.New("an attribute for the e-mail address has no name")
	}
	p := &Provider{cfg: cfg}
	if len(cfg.Key) > 0 {
		pair, err := pairFromPEM(cfg.Certificate, cfg.Key)
		if err != nil {
			return nil, err
		}
		p.own.Store(pair)
	}
	var err error
	if p.idp, err = newSource(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// Close ends what goes on in the background and waits for it.
func (p *Provider) Close() { p.idp.close() }

// Name is the provider's name in paths, audit and metrics.
func (p *Provider) Name() string { return p.cfg.Name }

// Label is what people read on the button.
func (p *Provider) Label() string { return p.cfg.Label }

// AnswersByPost says that answers come as a POST from another site.
func (p *Provider) AnswersByPost() bool { return true }

func (p *Provider) url(env signin.Env, endpoint string) string {
	return env.Origin + signin.SSOPath(p.cfg.Name, endpoint)
}

func (p *Provider) ownEntityID(env signin.Env) string {
	if p.cfg.OwnEntityID != "" {
		return p.cfg.OwnEntityID
	}
	return p.url(env, "metadata")
}
