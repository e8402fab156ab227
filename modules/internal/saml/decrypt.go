// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // OAEP's own hash in what providers send; it signs nothing
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// Decryption is done here and not by crewjam/saml's xmlenc: that one panics on
// ciphertext that is too short, knows no AES-256-GCM, and cannot take the two
// hashes of OAEP apart.

// errDecrypt is the one error of a ciphertext that does not open, so that nobody
// learns from it in what way it did not.
var errDecrypt = errors.New("the assertion does not open with the gate's key")

var oaepHashes = map[string]crypto.Hash{
	"":                                       crypto.SHA1,
	"http://www.w3.org/2000/09/xmldsig#sha1": crypto.SHA1,
	"http://www.w3.org/2001/04/xmlenc#sha256": crypto.SHA256,
	"http://www.w3.org/2001/04/xmlenc#sha512": crypto.SHA512,
}

var mgfHashes = map[string]crypto.Hash{
	"":                         crypto.SHA1,
	nsEncrypt11 + "mgf1sha1":   crypto.SHA1,
	nsEncrypt11 + "mgf1sha256": crypto.SHA256,
	nsEncrypt11 + "mgf1sha512": crypto.SHA512,
}

// contentCipher is how an assertion is encrypted: the key's length, and GCM or CBC.
type contentCipher struct {
	key int
	gcm bool
}

var contentCiphers = map[string]contentCipher{
	nsEncrypt + "aes128-cbc":   {16, false},
	nsEncrypt + "aes192-cbc":   {24, false},
	nsEncrypt + "aes256-cbc":   {32, false},
	nsEncrypt11 + "aes128-gcm": {16, true},
	nsEncrypt11 + "aes192-gcm": {24, true},
	nsEncrypt11 + "aes256-gcm": {32, true},
}

// decrypt opens an EncryptedAssertion (XML Encryption 1.1). The encrypted key
// stands in the data's KeyInfo, or beside the data.
func decrypt(el *etree.Element, key *rsa.PrivateKey) ([]byte, error) {
	data := one(el, nsEncrypt, "EncryptedData")
	if data == nil {
		return nil, errors.New("the encrypted assertion holds no encrypted data")
	}
	wrapped := one(one(data, nsSignature, "KeyInfo"), nsEncrypt, "EncryptedKey")
	if beside := one(el, nsEncrypt, "EncryptedKey"); wrapped == nil {
		wrapped = beside
	} else if beside != nil {
		return nil, errors.New("the encrypted assertion holds two keys")
	}
	if wrapped == nil {
		return nil, errors.New("the encrypted assertion holds no key for the gate")
	}
	secret, err := unwrap(wrapped, key)
	if err != nil {
		return nil, err
	}
	alg := attr(one(data, nsEncrypt, "EncryptionMethod"), "Algorithm")
	c, ok := contentCiphers[alg]
	if !ok {
		return nil, fmt.Errorf("the assertion is encrypted with %q, which is refused", clip(alg))
	}
	sealed, err := cipherValue(data)
	if err != nil {
		return nil, err
	}
	if len(secret) != c.key {
		return nil, errDecrypt
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, errDecrypt
	}
	if c.gcm {
		return openGCM(block, sealed)
	}
	return openCBC(block, sealed)
}

// unwrap opens the content's key: RSA-OAEP only, for RSA 1.5 tells a patient
// asker the key.
func unwrap(el *etree.Element, key *rsa.PrivateKey) ([]byte, error) {
	method := one(el, nsEncrypt, "EncryptionMethod")
	alg := attr(method, "Algorithm")
	opts := &rsa.OAEPOptions{Hash: oaepHashes[attr(one(method, nsSignature, "DigestMethod"), "Algorithm")]}
	switch alg {
	case nsEncrypt + "rsa-oaep-mgf1p":
		opts.MGFHash = crypto.SHA1
	case nsEncrypt11 + "rsa-oaep":
		opts.MGFHash = mgfHashes[attr(one(method, nsEncrypt11, "MGF"), "Algorithm")]
	}
	if opts.Hash == 0 || opts.MGFHash == 0 || one(method, nsEncrypt, "OAEPparams") != nil {
		return nil, fmt.Errorf("the assertion's key is encrypted with %q, which is refused", clip(alg))
	}
	sealed, err := cipherValue(el)
	if err != nil {
		return nil, err
	}
	secret, err := key.Decrypt(nil, sealed, opts)
	if err != nil {
		return nil, errDecrypt
	}
	return secret, nil
}

func cipherValue(el *etree.Element) ([]byte, error) {
	v, err := text(one(one(el, nsEncrypt, "CipherData"), nsEncrypt, "CipherValue"))
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
	if err != nil || len(b) == 0 {
		return nil, errors.New("the ciphertext is no base64")
	}
	return b, nil
}

func openGCM(block cipher.Block, sealed []byte) ([]byte, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil || len(sealed) < aead.NonceSize()+aead.Overhead() {
		return nil, errDecrypt
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, errDecrypt
	}
	return plain, nil
}

// openCBC opens CBC with the padding of XML Encryption §5.2: the last byte says
// how many bytes it is long, the others are anything.
func openCBC(block cipher.Block, sealed []byte) ([]byte, error) {
	n := block.BlockSize()
	if len(sealed) < 2*n || len(sealed)%n != 0 {
		return nil, errDecrypt
	}
	plain := make([]byte, len(sealed)-n)
	cipher.NewCBCDecrypter(block, sealed[:n]).CryptBlocks(plain, sealed[n:])
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > n {
		return nil, errDecrypt
	}
	return plain[:len(plain)-pad], nil
}
