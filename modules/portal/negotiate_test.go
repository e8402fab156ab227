// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http/httptest"
	"testing"
)

func TestWantsPage(t *testing.T) {
	const html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, tc := range []struct {
		name   string
		method string
		head   map[string]string
		want   bool
	}{
		{"navigation", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": html}, true},
		{"navigation, odd Accept", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": "*/*"}, true},
		{"navigation by HEAD", "HEAD", map[string]string{"Sec-Fetch-Mode": "navigate"}, true},
		{"web view navigation", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "X-Requested-With": "com.example.app"}, true},
		{"fetch", "GET", map[string]string{"Sec-Fetch-Mode": "cors", "Accept": html}, false},
		{"image", "GET", map[string]string{"Sec-Fetch-Mode": "no-cors", "Accept": html}, false},
		{"web socket mode", "GET", map[string]string{"Sec-Fetch-Mode": "websocket", "Accept": html}, false},
		{"other Sec-Fetch only", "GET", map[string]string{"Sec-Fetch-Site": "same-origin", "Accept": html}, false},
		{"old browser", "GET", map[string]string{"Accept": html}, true},
		{"old browser, letter case", "GET", map[string]string{"Accept": "Text/HTML"}, true},
		{"old XHR", "GET", map[string]string{"Accept": html, "X-Requested-With": "XMLHttpRequest"}, false},
		{"curl", "GET", map[string]string{"Accept": "*/*"}, false},
		{"no Accept", "GET", nil, false},
		{"JSON", "GET", map[string]string{"Accept": "application/json, text/plain, */*"}, false},
		{"html not wanted", "GET", map[string]string{"Accept": "text/html;q=0, application/json"}, false},
		{"html, junk weight", "GET", map[string]string{"Accept": "text/html;q=x"}, false},
		{"html, low weight", "GET", map[string]string{"Accept": "application/json, text/html;level=1;q=0.1"}, true},
		{"upgrade", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": html, "Upgrade": "websocket"}, false},
		{"form post", "POST", map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": html}, false},
		{"connect", "CONNECT", map[string]string{"Accept": html}, false},
		{"delete", "DELETE", map[string]string{"Accept": html}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Method = tc.method
			for k, v := range tc.head {
				r.Header.Set(k, v)
			}
			if got := WantsPage(r); got != tc.want {
				t.Errorf("WantsPage = %v, want %v: an app is sent to a form, or a person reads JSON", got, tc.want)
			}
		})
	}
}

func TestOwns(t *testing.T) {
	for path, want := range map[string]bool{
		"/.crmgate": true, "/.crmgate/": true, "/.crmgate/x": true, "/.CRMgate/sign-in": true,
		"/": false, "": false, "/.crmgates": false, "/x/.crmgate/": false, "/.crmgat": false, "/crmgate/": false,
	} {
		if got := Owns(path); got != want {
			t.Errorf("Owns(%q) = %v, want %v: a page of ours reaches the CRM or the CRM loses one of its own", path, got, want)
		}
	}
}

func TestDevice(t *testing.T) {
	for ua, want := range map[string]string{
		"": "Unknown device",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36":            "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0":  "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":  "Safari on Mac",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                 "Firefox on Linux",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0 Safari/537.36":  "Samsung Internet on Android",
		"SalesApp/3 CFNetwork/1490 Darwin/23": "Mobile app on Apple device",
		"curl/8.5.0":                          "curl",
		"<script>":                            "Unknown device",
	} {
		if got := Device(ua); got != want {
			t.Errorf("Device(%q) = %q, want %q", ua, got, want)
		}
	}
}
