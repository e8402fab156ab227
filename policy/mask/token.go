// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
)

// appendToken appends 16 characters of base32 (80 bits) of HMAC-SHA-256 over
// the domain and the value, upper and lower case and surrounding blanks aside.
// Equal values of one domain give equal tokens; without the key nobody can
// guess values by hashing them.
func (f *Func) appendToken(dst, s []byte) []byte {
	h := hmac.New(sha256.New, f.key)
	h.Write([]byte(f.domain))
	h.Write([]byte{0})
	h.Write(bytes.ToLower(bytes.TrimSpace(s)))
	var sum [sha256.Size]byte
	return base32.StdEncoding.AppendEncode(dst, h.Sum(sum[:0])[:10])
}
