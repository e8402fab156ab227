// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

const maxCode = 4096 // bytes of a code; Google's has about 75, ADFS's about 1000

// reply is what the browser brings back: a code, or the provider's error.
type reply struct {
	state string
	code  string
	err   string // the error's name, clipped
	iss   string // "" when there is none
}

// read reads an answer from where it was asked for: the query, or with FormPost
// the body. The other place is not looked at.
func (p *Provider) read(r *http.Request) (reply, error) {
	if p.cfg.FormPost != (r.Method == http.MethodPost) {
		return reply{}, signin.Denied("the answer came by " + clip(r.Method))
	}
	if !p.cfg.FormPost {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return reply{}, signin.Denied("the answer's query cannot be decoded")
		}
		return parseReply(q)
	}
	if err := r.ParseForm(); err != nil {
		return reply{}, signin.Denied("the answer's form cannot be decoded")
	}
	return parseReply(r.PostForm)
}

// parseReply reads the parameters of RFC 6749 section 4.1.2 and RFC 9207. Each may
// be there once; a code together with an error, or neither, is refused.
func parseReply(q url.Values) (reply, error) {
	var out reply
	for name, dst := range map[string]*string{"state": &out.state, "code": &out.code, "error": &out.err, "iss": &out.iss} {
		switch v := q[name]; len(v) {
		case 0:
		case 1:
			if *dst = v[0]; v[0] == "" {
				return reply{}, signin.Denied(fmt.Sprintf("the answer's %s is empty", name))
			}
		default:
			return reply{}, signin.Denied(fmt.Sprintf("the answer has %s twice", name))
		}
	}
	switch {
	case out.state == "":
		return reply{}, signin.Denied("the answer has no state")
	case out.code == "" && out.err == "":
		return reply{}, signin.Denied("the answer has neither a code nor an error")
	case out.code != "" && out.err != "":
		return reply{}, signin.Denied("the answer has a code and an error")
	case len(out.code) > maxCode:
		return reply{}, signin.Denied("the answer's code is too long")
	}
	out.err = clip(out.err)
	return out, nil
}

// FlowID reads the state. There is always one: a provider cannot begin a sign-in.
func (p *Provider) FlowID(r *http.Request) (string, error) {
	a, err := p.read(r)
	return a.state, err
}
