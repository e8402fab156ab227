// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// The only script and the only style of these pages; the policy allows them by
// their hashes.
const (
	submitScript = `document.forms[0].submit()`
	pageStyle    = `body{font:1rem/1.5 system-ui,sans-serif;margin:15vh auto;max-width:28rem;padding:0 1rem;color-scheme:light dark}`
)

func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var formPage = template.Must(template.New("form").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>One moment</title><style>` + pageStyle + `</style></head>
<body><h1>One moment</h1>
<form method="post" action="{{.URL}}">{{range .Values}}
<input type="hidden" name="{{.Name}}" value="{{.Value}}">{{end}}
<p>You are being sent to {{.Host}}.</p>
<button type="submit">Go on</button>
</form>
<script>` + submitScript + `</script></body>
</html>
`))

type formValue struct{ Name, Value string }

// WriteNext sends the browser on: by a redirect, or by a form that submits itself
// and has a button for browsers without scripts. An address that is not http or
// https with a host is an error, and nothing is written.
func WriteNext(w http.ResponseWriter, next signin.Next) error {
	u, err := url.Parse(next.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("sending the browser on: the provider's address is no http or https address")
	}
	if next.Form == nil {
		redirect(w, next.URL)
		return nil
	}
	var page bytes.Buffer
	view := struct {
		URL    string
		Host   string
		Values []formValue
	}{URL: next.URL, Host: u.Hostname()}
	for _, name := range slices.Sorted(maps.Keys(next.Form)) {
		view.Values = append(view.Values, formValue{name, next.Form[name]})
	}
	if err := formPage.Execute(&page, view); err != nil {
		return errors.New("sending the browser on: the page could not be made")
	}
	policy := "default-src 'none'; style-src " + sourceHash(pageStyle) + "; script-src " + sourceHash(submitScript) +
		"; form-action " + u.Scheme + "://" + u.Host + "; frame-ancestors 'none'; base-uri 'none'"
	writePage(w, http.StatusOK, policy, page.Bytes())
	return nil
}

var refusalPage = template.Must(template.New("refusal").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Signing in did not work</title><style>` + pageStyle + `</style></head>
<body><h1>Signing in did not work</h1>
<p>{{.Text}}</p>
<p>{{if .Again}}<a href="{{.Again}}">Start again</a> · {{end}}<a href="/">Go to the start page</a></p></body>
</html>
`))

// WriteRefusal answers with a plain page: what happened, and a link that starts
// again. It goes nowhere by itself.
func WriteRefusal(w http.ResponseWriter, _ *http.Request, x Refusal) {
	var page bytes.Buffer
	if err := refusalPage.Execute(&page, x); err != nil {
		page.Reset()
		page.WriteString("Signing in did not work.\n")
	}
	writePage(w, x.Status(), "default-src 'none'; style-src "+sourceHash(pageStyle)+"; frame-ancestors 'none'; base-uri 'none'", page.Bytes())
}

// Status is the HTTP status of a refusal.
func (x Refusal) Status() int {
	if x.NotFound {
		return http.StatusNotFound
	}
	return x.Reason.Status()
}

func writePage(w http.ResponseWriter, status int, policy string, body []byte) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusSeeOther)
}

func quote(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "?")) }
