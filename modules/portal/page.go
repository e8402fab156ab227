// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/crmgate/crmgate/policy"
)

//go:embed templates
var templateFiles embed.FS

// page names one template.
type page string

const (
	pageSignIn      page = "signin.html"
	pageSignOut     page = "signout.html"
	pageLeave       page = "leave.html"
	pageAccount     page = "account.html"
	pageRefused     page = "refused.html"
	pageTrips       page = "trips.html"
	pageStep        page = "step.html"
	pageStepUp      page = "stepup.html"
	pageEnrolChoice page = "enrolchoice.html"
	pageEnrol       page = "enrol.html"
	pageCodes       page = "codes.html"
	pagePassword    page = "password.html"
	pageForgot      page = "forgot.html"
	pageLinkOver    page = "linkover.html"
	pageKept        page = "kept.html"
	pageKeptOver    page = "keptover.html"
	pageSSOFailed   page = "ssofailed.html"
	pageTested      page = "tested.html"
)

// everyPage is what is parsed at start: a template that does not exist or does not
// parse stops the program in its first test.
var everyPage = []page{
	pageSignIn, pageSignOut, pageLeave, pageAccount, pageRefused, pageTrips, pageStep, pageStepUp, pageEnrolChoice, pageEnrol,
	pageCodes, pagePassword, pageForgot, pageLinkOver, pageKept, pageKeptOver, pageSSOFailed, pageTested,
}

var pages = func() map[page]*template.Template {
	m := map[page]*template.Template{}
	for _, p := range everyPage {
		m[p] = template.Must(template.New("layout.html").
			Funcs(template.FuncMap{"asset": assetPath}).
			ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+string(p)))
	}
	return m
}()

// assetPath is the hashed path of an embedded asset; a name that does not exist
// breaks the page in its first test.
func assetPath(name string) string {
	p, ok := assetPaths[name]
	if !ok {
		panic("portal: no such asset: " + name)
	}
	return p
}

// base is what every page shows.
type base struct {
	PageTitle string
	Title     string
	Account   string
	Support   string
	RequestID string
	Now       moment
}

func (p *Portal) base(r *http.Request, title string) base {
	return base{
		PageTitle: sentence(title), Title: p.opts.Title, Account: p.opts.Account, Support: p.opts.Support,
		RequestID: ClientFrom(r.Context()).RequestID, Now: at(p.opts.Clock.Now()),
	}
}

// moment is a time for people and for machines.
type moment struct {
	ISO  string // RFC 3339, UTC
	Text string // such as "2 January 2006, 15:04 UTC"
}

// at returns the moment of t; the zero moment for the zero time.
func at(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{ISO: t.Format(time.RFC3339), Text: t.Format("2 January 2006, 15:04 UTC")}
}

// IsZero says whether there is nothing to show.
func (m moment) IsZero() bool { return m.ISO == "" }

// span says a duration in words, rounded up so that nobody comes back too early.
func span(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for _, u := range units {
		if d >= 2*u.size || u.size == time.Second {
			n := max(1, int64((d+u.size-1)/u.size))
			if n == 1 {
				return "1 " + u.name
			}
			return strconv.FormatInt(n, 10) + " " + u.name + "s"
		}
	}
	return ""
}

// sentence drops the full stop: headings and titles have none.
func sentence(s string) string { return strings.TrimSuffix(s, ".") }

// render writes a page. A template that fails is a mistake of ours: the client
// reads one generic line.
func (p *Portal) render(w http.ResponseWriter, r *http.Request, status int, name page, view any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	var buf bytes.Buffer
	if err := pages[name].Execute(&buf, view); err != nil {
		p.opts.Log.ErrorContext(r.Context(), "portal: rendering a page failed", "page", string(name), "error", err)
		h.Set("Content-Type", "text/plain; charset=utf-8")
		buf.Reset()
		buf.WriteString(policy.Internal.Text() + "\n")
		status = policy.Internal.Status()
	}
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	writeBody(w, r, status, buf.Bytes())
}
