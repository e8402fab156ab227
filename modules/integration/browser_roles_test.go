// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	clearPhone  = regexp.MustCompile(`^\+91\d{10}$`)
	maskedPhone = regexp.MustCompile(`^\+91X{6}\d{4}$`)
)

// The lead every demo has.
const ishaan = "/app/leads/00000000-0000-4000-8000-000000000001"

const owners = "[...new Set([...document.querySelectorAll('[data-testid=lead-owner]')].map((e) => e.innerText.trim()))]"

// view is what a role is promised to see.
type view struct {
	email, shot string
	phone       *regexp.Regexp
	all         bool   // everybody's leads
	pan, income string // "clear", "masked", or "" for a field that is not there
}

func browserRoles(t *testing.T, s *site) {
	admin, asha := s.signIn(t, "admin@acme.test"), s.signIn(t, "asha@acme.test")
	everything := admin.count()
	for _, v := range []view{
		{"asha@acme.test", "lead-sales.png", maskedPhone, false, "", ""},
		{"manager@acme.test", "", clearPhone, true, "masked", "clear"},
		{"marketing@acme.test", "", maskedPhone, true, "", "masked"},
		{"admin@acme.test", "lead-admin.png", clearPhone, true, "clear", "clear"},
	} {
		t.Run(v.email, func(t *testing.T) {
			p := s.signIn(t, v.email)
			v.judgeList(p, everything)
			v.judgeLead(p)
		})
	}
	t.Run("own leads are counted as the CRM counts them", func(t *testing.T) {
		me := asha.text("#whoami")
		admin.choose("select[aria-label=Owner]", me)
		admin.wait(soon, "the administrator sees Asha's leads alone", fmt.Sprintf("%s.join() === %s", owners, quote(me)))
		want := admin.count()
		if got := asha.count(); got != want || want == 0 || want >= everything {
			t.Errorf("Asha reads that she has %d leads; the CRM counts %d of hers among %d: she learns how many others have, or misses her own", got, want, everything)
		}
	})
	t.Run("a lead of somebody else is not there", func(t *testing.T) {
		admin.choose("select[aria-label=Owner]", "Ravi Menon")
		admin.wait(soon, "the administrator sees Ravi's leads alone", owners+`.join() === "Ravi Menon"`)
		theirs := must[string](admin, "document.querySelector('[data-testid=lead-name]').getAttribute('href')")
		var said []string
		for _, path := range []string{theirs, "/app/leads/00000000-0000-4000-8000-0000deadbeef"} {
			asha.foretell(404, strings.Replace(path, "/app/", "/app/api/", 1))
			asha.open(path)
			asha.wait(soon, "the page says that there is no such lead", "document.querySelector('main .empty')")
			said = append(said, asha.text("#banner")+"\n"+asha.text("main"))
		}
		if said[0] != said[1] {
			t.Errorf("Asha opened Ravi's lead and reads %q; of a lead that never was she reads %q: she may not learn that his exists", said[0], said[1])
		}
	})
}

// judgeList looks at the first page of the list.
func (v view) judgeList(p *page, everything int) {
	p.t.Helper()
	phones := slices.DeleteFunc(p.texts("[data-testid=lead-phone]"), func(s string) bool { return s == "" })
	if len(phones) == 0 {
		p.t.Error("the list has no phone numbers")
	}
	for _, phone := range phones {
		if !v.phone.MatchString(phone) {
			p.t.Errorf("the list shows %s the phone %q, promised is %s", v.email, phone, v.phone)
		}
	}
	found := must[[]string](p, owners)
	if v.all {
		if n := p.count(); n != everything || len(found) < 2 {
			p.t.Errorf("%s counts %d leads of %v, there are %d: leads are missing", v.email, n, found, everything)
		}
		return
	}
	if me := p.text("#whoami"); !slices.Equal(found, []string{me}) {
		p.t.Errorf("%s sees leads of %v, promised are her own alone", me, found)
	}
}

// plainly is what the fields look like to somebody who may see them.
var plainly = map[string]*regexp.Regexp{
	"mx_PAN_Number":    regexp.MustCompile(`^[A-Z]{5}\d{4}[A-Z]$`),
	"mx_Annual_Income": regexp.MustCompile(`^\d+$`),
}

// judgeLead looks at the lead every demo has, which is Asha's.
func (v view) judgeLead(p *page) {
	p.t.Helper()
	p.open(ishaan)
	p.wait(soon, "the lead is shown", "document.querySelector('dd[data-testid=lead-phone]')")
	p.wait(soon, "its history is shown", "document.querySelector('[data-testid=activity]')")
	p.wait(soon, "the page is live", "document.getElementById('live').dataset.live === 'on'")
	if phone := p.text("dd[data-testid=lead-phone]"); !v.phone.MatchString(phone) {
		p.t.Errorf("the lead shows %s the phone %q, promised is %s", v.email, phone, v.phone)
	}
	for field, want := range map[string]string{"mx_PAN_Number": v.pan, "mx_Annual_Income": v.income} {
		got := p.texts("dd[data-field=" + field + "]")
		switch {
		case want == "" && len(got) > 0:
			p.t.Errorf("the lead shows %s %s as %q, promised is that the field is hidden", v.email, field, got)
		case want != "" && (len(got) != 1 || got[0] == "—"):
			p.t.Errorf("the lead does not show %s the field %s: %q", v.email, field, got)
		case want == "masked" && plainly[field].MatchString(got[0]):
			p.t.Errorf("the lead shows %s %s as %q, promised is a mask", v.email, field, got)
		case want == "clear" && !plainly[field].MatchString(got[0]):
			p.t.Errorf("the lead hides %s from %s: %q", field, v.email, got)
		}
	}
	html := must[string](p, "document.documentElement.outerHTML + document.querySelector('[data-testid=edit-phone]').value")
	if v.phone == maskedPhone && strings.Contains(html, "9876543210") {
		p.t.Errorf("somewhere in the page, an activity or the form, %s finds the phone that is masked", v.email)
	}
	if v.shot != "" {
		p.picture(v.shot)
	}
}

// count reads how many leads the list says there are.
func (p *page) count() int {
	p.t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(p.text("[data-testid=record-count]"), ",", ""))
	if err != nil {
		p.t.Fatalf("reading the number of leads: %v", err)
	}
	return n
}

// choose picks an entry of a select by its text, once it is there.
func (p *page) choose(selector, text string) {
	p.t.Helper()
	find := fmt.Sprintf("[...document.querySelector(%s).options].find((o) => o.text === %s)", quote(selector), quote(text))
	p.wait(soon, selector+" offers "+text, find)
	must[bool](p, fmt.Sprintf(`(() => { const s = document.querySelector(%s); s.value = (%s).value;
		return s.dispatchEvent(new Event("change", { bubbles: true })); })()`, quote(selector), find))
}

func browserList(t *testing.T, s *site) {
	p := s.signIn(t, "manager@acme.test")
	names := func() []string { return p.texts("[data-testid=lead-name]") }
	first := names()
	p.click(".pager div button:last-child")
	p.wait(soon, "the second page is shown", "document.querySelector('.pager .quiet').innerText.startsWith('26 to 50')")
	if second := names(); len(second) != 25 || slices.Equal(first, second) {
		t.Errorf("the second page has %d leads, the same as the first: %v", len(second), slices.Equal(first, second))
	}
	p.click(".pager div button:first-child")
	p.wait(soon, "the first page is shown again", "document.querySelector('.pager .quiet').innerText.startsWith('1 to 25')")
	if again := names(); !slices.Equal(first, again) {
		t.Errorf("going back shows %v, it was %v", again, first)
	}

	admin := s.signIn(t, "admin@acme.test")
	everything := admin.count()
	admin.fill("input[type=search]", "Ishaan Kapoor")
	admin.wait(soon, "the search is done", `[...document.querySelectorAll("tbody tr")].every((e) => e.innerText.includes("Ishaan Kapoor"))`)
	if n := admin.count(); n == 0 || n >= everything {
		t.Errorf("searching Ishaan Kapoor counts %d of %d leads", n, everything)
	}
	admin.click("[data-testid=lead-name]")
	admin.wait(soon, "the lead found is shown", "document.querySelector('h1')?.innerText === 'Ishaan Kapoor'")
}

// browserSearchRefused searches by a number whose owner is shown masked: that would
// tell what the mask hides, one digit after the other.
func browserSearchRefused(t *testing.T, s *site) {
	p := s.signIn(t, "asha@acme.test")
	p.foretell(403, "/app/api/leads?")
	p.fill("input[type=search]", "98765")
	p.wait(soon, "the search is answered", "!document.querySelector('#banner').hidden")
	if got := p.text("#banner"); got != "You may not search, filter or sort by one of these fields." {
		t.Errorf("Asha searches for a phone number and reads %q", got)
	}
	if n := must[int](p, "document.querySelectorAll('[data-testid=lead-row]').length"); n != 0 {
		t.Errorf("Asha searches for part of a masked phone number and gets %d leads: she can find out the number", n)
	}
	p.do("emptying the search", chromedp.Focus(chromedp.CSS("input[type=search]")), chromedp.KeyEvent(strings.Repeat(kb.Backspace, 5)))
	p.listed()
	if got := p.text("#banner"); got != "" {
		t.Errorf("the list is back, and the page still says %q", got)
	}
}

func browserReturn(t *testing.T, s *site) {
	asha := s.signIn(t, "asha@acme.test")
	own := must[string](asha, "document.querySelector('[data-testid=lead-name]').getAttribute('href')")
	p := s.page(t)
	p.open(own)
	p.at("/.crmgate/sign-in")
	p.submit("asha@acme.test", s.person(t, "asha@acme.test").Password)
	p.at(own)
	p.wait(soon, "the lead is shown", "document.querySelector('dd[data-testid=lead-phone]')")
	p.wait(soon, "the page is live", "document.getElementById('live').dataset.live === 'on'")
}
