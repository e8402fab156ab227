// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Sign-in as people do it: real providers, a real mail server, Chromium.

// startWith runs a gateway whose Caddyfile names peers, and peers that know where
// the gateway is.
func (s *setup) startWith(t testing.TB, env []string, peers func(origin string) map[string]string) *demo {
	t.Helper()
	file, port, admin := s.file(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for name, value := range peers("https://localhost:" + port) {
		pairs = append(pairs, "{"+name+"}", value)
	}
	write(t, file, strings.NewReplacer(pairs...).Replace(string(text)))
	p, _ := start(t, env, "run", "--config", file, "--adapter", "caddyfile")
	return s.ready(t, p, port, admin)
}

// rule replaces the policy of a gateway of setup and has it read at once.
func (d *demo) rule(t testing.TB, text string) {
	t.Helper()
	write(t, filepath.Join(filepath.Dir(d.data), filepath.Base(d.data)+"-policy.yaml"), text)
	d.admin(t, http.MethodPost, "/crmgate/refresh", "")
}

// tab opens another tab of the same browser.
func (p *page) tab() *page {
	p.t.Helper()
	q := &page{t: p.t, base: p.base}
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithListener(q.hear))
	q.ctx = ctx
	p.t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1200, 800)); err != nil {
		p.t.Fatalf("opening a tab: %v", err)
	}
	p.t.Cleanup(q.judge)
	return q
}

// cookies returns what the browser keeps for the gateway, by name.
func (p *page) cookies() map[string]*network.Cookie {
	p.t.Helper()
	out := map[string]*network.Cookie{}
	p.do("reading the cookies", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		res, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{p.base + "/"}})
		if err == nil {
			for _, c := range res.Cookies {
				out[c.Name] = c
			}
		}
		return chromedp.Void{}, err
	})
	return out
}

// judgeCookies holds every cookie of the gate to what keeps it safe.
func (p *page) judgeCookies() {
	p.t.Helper()
	for name, c := range p.cookies() {
		if !strings.HasPrefix(name, "__Host-crmgate") {
			continue
		}
		want := network.CookieSameSiteLax
		if name == "__Host-crmgate_flow_post" {
			want = network.CookieSameSiteNone
		}
		if !c.HTTPOnly || !c.Secure || c.Path != "/" || c.SameSite != want {
			p.t.Errorf("cookie %s: HttpOnly %v, Secure %v, Path %s, SameSite %s, want %s", name, c.HTTPOnly, c.Secure, c.Path, c.SameSite, want)
		}
	}
}

// as asks the gateway with the cookies of a browser, outside of it, and returns the
// status: a page's own request that fails would be a complaint of the browser.
func (s *site) as(p *page, path string) int {
	p.t.Helper()
	var jar []string
	for name, c := range p.cookies() {
		jar = append(jar, name+"="+c.Value)
	}
	res := s.browser(p.t).get(path, "Cookie", strings.Join(jar, "; "), "User-Agent", must[string](p, "navigator.userAgent"))
	return res.StatusCode
}

// inside says whether the browser has a session that opens the CRM.
func (s *site) inside(p *page) bool {
	p.t.Helper()
	return s.as(p, "/app/api/leads") == http.StatusOK
}

// leave clicks something that leaves the page, and waits for the next one.
func (p *page) leave(selector string) {
	p.t.Helper()
	p.mark()
	p.click(selector)
	p.next()
}

func (p *page) mark() {
	p.t.Helper()
	must[string](p, "document.body.dataset.old = 'yes'")
}

func (p *page) next() {
	p.t.Helper()
	p.wait(soon, "the next page comes", "document.body && !document.body.dataset.old && document.readyState === 'complete'")
}

// heading waits for a page by its heading.
func (p *page) heading(want string) {
	p.t.Helper()
	p.wait(soon, "the page "+want, fmt.Sprintf("document.readyState === 'complete' && document.querySelector('h1')?.innerText.trim() === %s", quote(want)))
}

// outside lets the browser complain about what pages of others lack: a favicon of
// providers, a font from the internet.
func (p *page) outside(origins ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range origins {
		_, host, _ := strings.Cut(o, "://")
		host, _, _ = strings.Cut(host, "/")
		p.foretold = append(p.foretold, failure{404, host + "/favicon.ico"})
	}
	p.t.Cleanup(func() { // before the page is judged
		p.mu.Lock()
		defer p.mu.Unlock()
		p.messages = slices.DeleteFunc(p.messages, func(m string) bool { return strings.Contains(m, " https://fonts.") })
	})
}

// judgePage looks for what makes a page of the gate unusable to some: fields
// without a name, buttons without words, a page without language, title or main
// heading, ids given twice, and at a phone's width a page wider than the screen.
func (p *page) judgePage() {
	p.t.Helper()
	for _, problem := range must[[]string](p, `(() => {
		const out = [];
		const shown = (e) => e.type !== "hidden" && !e.hidden && e.checkVisibility();
		if (!document.documentElement.lang) out.push("no language");
		if (!document.title) out.push("no title");
		if (document.querySelectorAll("h1").length !== 1) out.push("main headings: " + document.querySelectorAll("h1").length);
		if (!document.querySelector("main")) out.push("no main part");
		for (const e of document.querySelectorAll("input, select, textarea")) {
			if (shown(e) && !e.labels?.length && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")) out.push("no label: " + e.outerHTML);
		}
		for (const e of document.querySelectorAll("button, a[href]")) {
			if (shown(e) && !e.innerText.trim() && !e.getAttribute("aria-label")) out.push("no words: " + e.outerHTML);
		}
		for (const e of document.querySelectorAll("img, svg")) {
			if (shown(e) && !e.closest("[aria-hidden=true]") && !e.getAttribute("alt") && !e.getAttribute("aria-label") && !e.querySelector("title")) out.push("a picture without words: " + e.outerHTML.slice(0, 80));
		}
		const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
		for (const id of new Set(ids)) if (ids.filter((x) => x === id).length > 1) out.push("id twice: " + id);
		for (const e of document.querySelectorAll("[aria-describedby], [aria-labelledby]")) {
			for (const id of (e.getAttribute("aria-describedby") ?? e.getAttribute("aria-labelledby")).split(" ")) {
				if (!document.getElementById(id)) out.push("refers to nothing: " + e.outerHTML.slice(0, 120));
			}
		}
		return out;
	})()`) {
		p.t.Errorf("%s: %s", p.state(), problem)
	}
	p.do("taking a phone", chromedp.EmulateViewport(360, 740))
	if wide := must[int](p, "document.documentElement.scrollWidth"); wide > 360 {
		p.t.Errorf("on a phone the page is %d pixels wide: people must scroll sideways\n%s", wide, p.state())
	}
	p.do("going back to the desk", chromedp.EmulateViewport(1200, 800))
}

// toFront makes a tab the one people see.
func toFront(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
	_, err := chromedp.Call(ctx, cdppage.BringToFront, cdp.Empty{})
	return chromedp.Void{}, err
}
