// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package saml lets people sign in at a SAML 2.0 identity provider, such as ADFS.
package saml

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/saml"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

func init() {
	caddy.RegisterModule(SAML{})
}

// SAML sends people to a SAML identity provider. A metadata file is read and
// checked at the start; a metadata URL is asked when somebody signs in first, so
// that a provider that is away keeps no gateway from starting.
type SAML struct {
	// The provider's name in paths, audit and metrics: 1 to 32 letters a-z, digits
	// and -. Default: saml.
	ProviderName string `json:"name,omitempty"`
	// What people read on the button. Default: Company account.
	ProviderLabel string `json:"label,omitempty"`
	// The https URL of the provider's metadata, or a file.
	Metadata string `json:"metadata,omitempty"`
	// Thumbprints of certificates of which one must have signed the metadata.
	MetadataThumbprints []string `json:"metadata_thumbprints,omitempty"`
	// The provider's entity id. Default: the only one of the metadata.
	EntityID string `json:"entity_id,omitempty"`
	// The only signing certificates that are believed: SHA-1 or SHA-256 in hex.
	// Default: those of the metadata.
	Thumbprints []string `json:"thumbprints,omitempty"`
	// The gate's own entity id. Default: the URL of its metadata.
	OwnEntityID string `json:"own_entity_id,omitempty"`
	// How requests travel: redirect or post. Default: redirect where it is offered.
	Binding string `json:"binding,omitempty"`
	// Names of attributes that may hold the e-mail address; the first that is there
	// counts. Default: the e-mail claim of ADFS.
	EmailAttributes []string `json:"email_attributes,omitempty"`
	// The name identifier to ask for: email, persistent, transient, unspecified, or
	// a URN. Default: the provider decides.
	NameIDFormat string `json:"name_id_format,omitempty"`
	// By how much clocks may differ, up to 5m. Default: 1m.
	ClockSkew *caddy.Duration `json:"clock_skew,omitempty"`
	// Accept sign-ins that begin at the provider.
	IDPInitiated bool `json:"idp_initiated,omitempty"`
	// How often the metadata is read again, from 1m. Default: 1h.
	Refresh caddy.Duration `json:"refresh,omitempty"`
	// Files with the gate's own certificate and RSA key in PEM. Default: a pair is
	// made and kept sealed in the records.
	CertificateFile string `json:"certificate_file,omitempty"`
	KeyFile         string `json:"key_file,omitempty"`
	// A file with PEM certificates the metadata's server must chain to. Default:
	// those the system trusts.
	CAFile string `json:"ca_file,omitempty"`

	*saml.Provider `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (SAML) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.identity.saml", New: func() caddy.Module { return new(SAML) }}
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	identity saml [<name>] {
//	    metadata             <https URL>|<file>
//	    metadata_thumbprints <thumbprint...>
//	    entity_id            <id>
//	    thumbprints          <thumbprint...>
//	    own_entity_id        <id>
//	    label                <text>
//	    binding              redirect|post
//	    email_attributes     <name...>
//	    name_id_format       email|persistent|transient|unspecified|<urn>
//	    clock_skew           <duration>
//	    idp_initiated
//	    refresh              <duration>
//	    key_pair             <certificate file> <key file>
//	    ca                   <file>
//	}
//
// A thumbprint may be written as certificate dialogs and openssl print it; one
// with spaces goes in quotes.
func (s *SAML) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume provider name
	if d.NextArg() {
		s.ProviderName = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := s.option(d, name, d.RemainingArgs()); err != nil {
			return err
		}
	}
	return nil
}

func (s *SAML) option(d *caddyfile.Dispenser, name string, args []string) error {
	texts := map[string]*string{
		"metadata": &s.Metadata, "entity_id": &s.EntityID, "own_entity_id": &s.OwnEntityID, "label": &s.ProviderLabel,
		"binding": &s.Binding, "name_id_format": &s.NameIDFormat, "ca": &s.CAFile,
	}
	lists := map[string]*[]string{"metadata_thumbprints": &s.MetadataThumbprints, "thumbprints": &s.Thumbprints, "email_attributes": &s.EmailAttributes}
	if text, ok := texts[name]; ok {
		if len(args) != 1 {
			return d.ArgErr()
		}
		*text = args[0]
		return nil
	}
	if list, ok := lists[name]; ok {
		if len(args) == 0 {
			return d.ArgErr()
		}
		*list = args
		return nil
	}
	switch name {
	case "idp_initiated":
		if len(args) != 0 {
			return d.ArgErr()
		}
		s.IDPInitiated = true
	case "key_pair":
		if len(args) != 2 {
			return d.ArgErr()
		}
		s.CertificateFile, s.KeyFile = args[0], args[1]
	case "clock_skew", "refresh":
		if len(args) != 1 {
			return d.ArgErr()
		}
		t, err := caddy.ParseDuration(args[0])
		if err != nil || t < 0 {
			return d.Errf("%s %q: write a time such as 30s", name, args[0])
		}
		if v := caddy.Duration(t); name == "refresh" {
			s.Refresh = v
		} else {
			s.ClockSkew = &v
		}
	default:
		return d.Errf("%s is no option of identity saml", name)
	}
	return nil
}

var formats = map[string]string{
	"email": saml.FormatEmail, "persistent": saml.FormatPersistent, "transient": saml.FormatTransient, "unspecified": saml.FormatUnspecified,
}

// Provision reads the files and checks everything that can be checked without
// asking the provider.
func (s *SAML) Provision(caddy.Context) error {
	c := saml.Config{
		Name: s.ProviderName, Label: s.ProviderLabel, MetadataThumbprints: s.MetadataThumbprints,
		Thumbprints: s.Thumbprints, Binding: saml.Binding(s.Binding), EmailAttributes: s.EmailAttributes,
		NameIDFormat: s.NameIDFormat, Skew: saml.DefaultSkew, IDPInitiated: s.IDPInitiated, Refresh: time.Duration(s.Refresh),
	}
	if c.Name == "" {
		c.Name = "saml"
	}
	if c.Label == "" {
		c.Label = "Company account"
	}
	if s.ClockSkew != nil {
		c.Skew = time.Duration(*s.ClockSkew)
	}
	if f, ok := formats[c.NameIDFormat]; ok {
		c.NameIDFormat = f
	}
	err := s.files(&c)
	if err == nil {
		s.Provider, err = saml.New(c)
	}
	if err != nil {
		return fmt.Errorf("reading identity saml %s: %w", c.Name, err)
	}
	return nil
}

// files resolves references and reads what the configuration names.
func (s *SAML) files(c *saml.Config) error {
	r := caddy.NewReplacer()
	for _, x := range []struct {
		name string
		from string
		to   *string
	}{{"metadata", s.Metadata, &c.Metadata}, {"entity_id", s.EntityID, &c.EntityID}, {"own_entity_id", s.OwnEntityID, &c.OwnEntityID}} {
		v, err := r.ReplaceOrErr(x.from, true, true)
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		*x.to = v
	}
	var err error
	if s.CertificateFile != "" {
		if c.Certificate, err = os.ReadFile(s.CertificateFile); err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	if s.KeyFile != "" {
		fi, err := os.Stat(s.KeyFile)
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		if fi.Mode().Perm()&0o007 != 0 {
			return fmt.Errorf("key: everybody may read %s (mode %#o); run chmod 600 on it", s.KeyFile, fi.Mode().Perm())
		}
		if c.Key, err = os.ReadFile(s.KeyFile); err != nil {
			return fmt.Errorf("key: %w", err)
		}
	}
	if s.CAFile != "" {
		b, err := os.ReadFile(s.CAFile)
		if err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		c.Roots = x509.NewCertPool()
		if !c.Roots.AppendCertsFromPEM(b) {
			return fmt.Errorf("ca: there is no PEM certificate in %s", s.CAFile)
		}
	}
	return nil
}

// Cleanup ends what goes on in the background.
func (s *SAML) Cleanup() error {
	if s.Provider != nil {
		s.Close()
	}
	return nil
}

// Interface guards
var (
	_ signin.RedirectProvider = (*SAML)(nil)
	_ signin.Leaver           = (*SAML)(nil)
	_ signin.Listener         = (*SAML)(nil)
	_ caddyfile.Unmarshaler   = (*SAML)(nil)
	_ caddy.Provisioner       = (*SAML)(nil)
	_ caddy.CleanerUpper      = (*SAML)(nil)
)
