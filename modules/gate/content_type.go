// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"mime"
	"net/http"
	"strings"

	"github.com/crmgate/crmgate/policy/resource"
)

// sayType makes a request call its body what it was judged as. A CRM reads a body as
// what it calls itself: under another type or charset the same bytes can say something
// else than what was judged. A type that means the same stays as the client wrote it.
func sayType(h http.Header, kind resource.BodyKind) {
	usual, means := "application/json", isJSONType
	switch kind {
	case resource.JSONBody:
	case resource.FormBody:
		usual, means = "application/x-www-form-urlencoded", isFormType
	default:
		return // a batch of parts is judged by its type
	}
	if said := h["Content-Type"]; len(said) == 1 {
		if said[0] == usual {
			return
		}
		if t, params, err := mime.ParseMediaType(said[0]); err == nil && means(t) && isUTF8(params["charset"]) {
			return
		}
	}
	h["Content-Type"] = []string{usual}
}

// isJSONType says whether a media type, in lower case, is one of JSON documents.
func isJSONType(t string) bool {
	switch _, sub, _ := strings.Cut(t, "/"); sub {
	case "json", "x-json", "json-rpc", "jsonrequest":
		return true
	default:
		return strings.HasSuffix(sub, "+json")
	}
}

func isFormType(t string) bool { return t == "application/x-www-form-urlencoded" }

// isUTF8 says whether a charset is the one bodies are judged in, or none is said.
func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
