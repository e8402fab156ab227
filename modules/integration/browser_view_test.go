// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// stops are pages to look at, and what each must show before it is looked at.
var stops = []struct{ path, shown string }{
	{"/app/leads", "[data-testid=lead-row]"},
	{ishaan, "[data-testid=activity]"},
	{"/app/tasks", "main .list li"},
	{"/app/dashboard", "main .list li"},
	{"/app/reports", "[data-testid=stage-report] svg"},
	{"/.crmgate/account", ".sessions li"},
	{"/.crmgate/sign-out", "h1"},
	{"/.crmgate/nothing", "h1"},
}

// tour looks at the sign-in page, and then at every stop as the administrator.
func tour(p *page, s *site, look func(path string)) {
	p.t.Helper()
	p.foretell(404, "/.crmgate/nothing")
	p.open("/.crmgate/sign-in")
	p.wait(soon, "the form is shown", "document.querySelector('#email')")
	look("/.crmgate/sign-in")
	p.submit("admin@acme.test", s.person(p.t, "admin@acme.test").Password)
	p.at("/app/leads")
	for _, stop := range stops {
		p.open(stop.path)
		p.wait(soon, stop.path+" is shown", "document.querySelector("+quote(stop.shown)+")")
		look(stop.path)
	}
}

func browserPhone(t *testing.T, s *site) {
	// A name that nothing can break at a blank.
	const who = "/crmgate/people/admin@acme.test"
	s.admin(t, http.MethodPatch, who, `{"name":"Wolfeschlegelsteinhausenbergerdorffvoralternwarengewissenhaftschafers"}`)
	t.Cleanup(func() { s.admin(t, http.MethodPatch, who, `{"name":"Anita Deshpande"}`) })
	p := s.page(t)
	p.do("shrinking to a phone", chromedp.EmulateViewport(375, 720, chromedp.EmulateMobile, chromedp.EmulateTouch))
	tour(p, s, func(path string) {
		if w := must[int](p, "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth)"); w > 375 {
			t.Errorf("%s is %d pixels wide on a phone of 375: people must scroll sideways", path, w)
		}
	})
}

// contrast is the WCAG 2.2 contrast ratio of the page's text to its ground, and
// the ground's luminance: 0 is black.
const contrast = `(() => {
	const light = (color) => {
		const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map((c) => c / 255)
			.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const style = getComputedStyle(document.body);
	const [ink, ground] = [light(style.color), light(style.backgroundColor)];
	return { ground, ratio: (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05) };
})()`

func browserDark(t *testing.T, s *site) {
	p := s.page(t)
	p.do("preferring dark pages", dark)
	tour(p, s, func(path string) {
		c := must[struct{ Ground, Ratio float64 }](p, contrast)
		if c.Ground > 0.05 || c.Ratio < 7 {
			t.Errorf("%s at night: luminance %.3f, contrast %.1f: it must be dark and readable", path, c.Ground, c.Ratio)
		}
	})
}
