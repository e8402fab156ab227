// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

// purpose is what the gate's keys are sealed for.
const purpose = "saml"

// minKeyBits is the shortest RSA key taken, the gate's and the provider's.
const minKeyBits = 2048

// keyPair is the gate's own: it signs requests, and assertions are encrypted for it.
type keyPair struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

// BlobName is the name under which the records hold the key pair of a provider.
func BlobName(provider string) string { return "saml/" + provider + "/key" }

func pairFromPEM(cert, key []byte) (*keyPair, error) {
	c, _ := pem.Decode(cert)
	if c == nil || c.Type != "CERTIFICATE" {
		return nil, errors.New("the certificate is no PEM certificate")
	}
	k, _ := pem.Decode(key)
	if k == nil {
		return nil, errors.New("the key is no PEM private key")
	}
	der := k.Bytes
	if k.Type == "RSA PRIVATE KEY" {
		pk, err := x509.ParsePKCS1PrivateKey(der)
		if err != nil {
			return nil, errors.New("the key is no RSA private key")
		}
		if der, err = x509.MarshalPKCS8PrivateKey(pk); err != nil {
			return nil, errors.New("the key is no RSA private key")
		}
	}
	return pairFromDER(c.Bytes, der)
}

func pairFromDER(cert, key []byte) (*keyPair, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, errors.New("the certificate cannot be read")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("the key cannot be read; an RSA key that is not encrypted is needed")
	}
	k, ok := parsed.(*rsa.PrivateKey)
	if !ok || k.N.BitLen() < minKeyBits {
		return nil, fmt.Errorf("the key is no RSA key of at least %d bits", minKeyBits)
	}
	if !k.PublicKey.Equal(c.PublicKey) {
		return nil, errors.New("the certificate belongs to another key")
	}
	return &keyPair{k, c}, nil
}

// makePair makes a pair that holds for ten years: whoever changes it has to tell
// the provider, which is an act of an administrator and not of a calendar.
func makePair(name string, now time.Time) (cert, key []byte, err error) {
	k, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"crmgate"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if cert, err = x509.CreateCertificate(rand.Reader, t, t, k.Public(), k); err != nil {
		return nil, nil, fmt.Errorf("making a certificate: %w", err)
	}
	key, err = x509.MarshalPKCS8PrivateKey(k)
	return cert, key, err
}

type storedPair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

// pair is the gate's key pair: from the configuration, or from the records, where
// the first gateway that needs one makes it. Keys that cannot be read or opened
// are an error; keys read once stay in use.
func (p *Provider) pair(ctx context.Context, env signin.Env) (*keyPair, error) {
	if k := p.own.Load(); k != nil {
		return k, nil
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	if k := p.own.Load(); k != nil {
		return k, nil
	}
	k, err := p.loadPair(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("reading the gate's SAML key: %w", err)
	}
	p.own.Store(k)
	return k, nil
}

func (p *Provider) loadPair(ctx context.Context, env signin.Env) (*keyPair, error) {
	name := BlobName(p.cfg.Name)
	b, err := env.Records.Blob(ctx, name)
	if errors.Is(err, records.ErrNotFound) {
		var s storedPair
		if s.Cert, s.Key, err = makePair(p.cfg.Name, env.Clock.Now()); err != nil {
			return nil, err
		}
		err = p.savePair(ctx, env, s, 0)
		if err == nil {
			return pairFromDER(s.Cert, s.Key)
		}
		if !errors.Is(err, records.ErrConflict) {
			return nil, err
		}
		b, err = env.Records.Blob(ctx, name) // another gateway was faster
	}
	if err != nil {
		return nil, err
	}
	plain, err := env.Vault.Open(purpose, name, b.Value)
	if err != nil {
		return nil, err
	}
	var s storedPair
	if json.Unmarshal(plain.Reveal(), &s) != nil {
		return nil, errors.New("what is stored is no key pair")
	}
	if !env.Vault.Current(b.Value) {
		// Sealed with a key that is about to go. Somebody else may be faster.
		if err := p.savePair(ctx, env, s, b.Version); err != nil && !errors.Is(err, records.ErrConflict) {
			return nil, err
		}
	}
	return pairFromDER(s.Cert, s.Key)
}

func (p *Provider) savePair(ctx context.Context, env signin.Env, s storedPair, version int64) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	name := BlobName(p.cfg.Name)
	sealed, err := env.Vault.Seal(purpose, name, plain)
	if err != nil {
		return err
	}
	_, err = env.Records.PutBlob(ctx, records.Blob{Name: name, Value: sealed, Version: version})
	return err
}

func (k *keyPair) signer() (*dsig.SigningContext, error) {
	return crewjam.GetSigningContext(&crewjam.ServiceProvider{Key: k.key, Certificate: k.cert, SignatureMethod: dsig.RSASHA256SignatureMethod})
}

// sign returns the enveloped signature of a message that has an ID.
func (k *keyPair) sign(el *etree.Element) (*etree.Element, error) {
	s, err := k.signer()
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	signed, err := s.SignEnveloped(el)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signatureOf(signed), nil
}

func (k *keyPair) certificate() string { return base64.StdEncoding.EncodeToString(k.cert.Raw) }
