// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/vault"
)

func base() Config {
	return Config{URL: "https://auth.example.com/check", Body: `{"e":"{email}","p":"{password}"}`}
}

func TestConfig(t *testing.T) {
	secret := func(s string) map[string]vault.Secret {
		return map[string]vault.Secret{"X-Key": vault.NewSecret([]byte(s))}
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "": taken
	}{
		"defaults":                    {func(*Config) {}, ""},
		"a JSON type of its own":      {func(c *Config) { c.ContentType = "application/vnd.x+json; charset=UTF-8" }, ""},
		"placeholder inside a text":   {func(c *Config) { c.Body = `{"who":"user:{email}","p":["{password}"],"n":{}}` }, ""},
		"get":                         {func(c *Config) { c.Method, c.Body, c.URL = "GET", "", c.URL+"?e={email}&p={password}" }, ""},
		"email in the query":          {func(c *Config) { c.Body, c.URL = `"{password}"`, c.URL+"?e={email}" }, ""},
		"loopback":                    {func(c *Config) { c.URL = "http://127.0.0.1:8080/" }, ""},
		"loopback, v6":                {func(c *Config) { c.URL = "http://[::1]:8080/" }, ""},
		"header":                      {func(c *Config) { c.Headers = secret("x y") }, ""},
		"http":                        {func(c *Config) { c.URL = "http://auth.example.com/" }, "over https only"},
		"http to a name":              {func(c *Config) { c.URL = "http://localhost/" }, "over https only"},
		"another scheme":              {func(c *Config) { c.URL = "ftp://127.0.0.1/" }, "over https only"},
		"no URL":                      {func(c *Config) { c.URL = "" }, "no address"},
		"no host":                     {func(c *Config) { c.URL = "https:///x" }, "no address"},
		"user in the URL":             {func(c *Config) { c.URL = "https://u:hunter2@auth.example.com/" }, "do not belong there"},
		"fragment":                    {func(c *Config) { c.URL += "#x" }, "fragment"},
		"placeholder in the host":     {func(c *Config) { c.URL = "https://{email}.example.com/" }, "in the query only"},
		"placeholder in the path":     {func(c *Config) { c.URL += "/{password}" }, "in the query only"},
		"placeholder as query's name": {func(c *Config) { c.URL += "?{email}=1" }, "would not stay whole"},
		"unknown placeholder":         {func(c *Config) { c.Body = `{"e":"{email}","p":"{passwort}"}` }, "{passwort} is no placeholder"},
		"environment in the body":     {func(c *Config) { c.Body = `{"e":"{email}","p":"{password}","k":"{env.KEY}"}` }, "{env.KEY} is no placeholder"},
		"unknown in the query":        {func(c *Config) { c.URL += "?x={user}" }, "{user} is no placeholder"},
		"no password":                 {func(c *Config) { c.Body = `{"e":"{email}"}` }, "nothing sends {password}"},
		"no email":                    {func(c *Config) { c.Body = `{"p":"{password}"}` }, "nothing sends {email}"},
		"placeholder without quotes":  {func(c *Config) { c.Body = `{"e":{email},"p":"{password}"}` }, "cannot be read back"},
		"placeholder as a name":       {func(c *Config) { c.Body = `{"{email}":1,"p":"{password}"}` }, "would not stay whole"},
		"no JSON":                     {func(c *Config) { c.Body = `e={email}&p={password}` }, "cannot be read back"},
		"escaped brace":               {func(c *Config) { c.Body = `{"e":"\{email}","p":"{password}"}` }, "cannot be read back"},
		"form as a name":              {func(c *Config) { c.ContentType, c.Body = "application/x-www-form-urlencoded", "{email}={password}" }, "would not stay whole"},
		"form with a semicolon":       {func(c *Config) { c.ContentType, c.Body = "application/x-www-form-urlencoded", "e={email};p={password}" }, "cannot be read back"},
		"XML":                         {func(c *Config) { c.ContentType = "text/xml" }, "content type"},
		"another charset":             {func(c *Config) { c.ContentType = "application/json; charset=latin1" }, "in UTF-8"},
		"GET with a body":             {func(c *Config) { c.Method = "GET" }, "a GET has no body"},
		"DELETE":                      {func(c *Config) { c.Method = "DELETE" }, "use GET, POST or PUT"},
		"space in the query":          {func(c *Config) { c.URL += "?a=b c" }, "written %20"},
		"password in a header":        {func(c *Config) { c.Headers = secret("Basic {password}") }, "in the query and the body only"},
		"empty header":                {func(c *Config) { c.Headers = secret("") }, "it is empty"},
		"line break in a header":      {func(c *Config) { c.Headers = secret("a\r\nHost: b") }, "no header may hold"},
		"host header":                 {func(c *Config) { c.Headers = map[string]vault.Secret{"host": vault.NewSecret([]byte("x"))} }, "sets it itself"},
		"bad header":                  {func(c *Config) { c.Headers = map[string]vault.Secret{"a b": vault.NewSecret([]byte("x"))} }, "no name of a header"},
		"success 302":                 {func(c *Config) { c.Success = []int{302} }, "from 200 to 299"},
		"wrong 500":                   {func(c *Config) { c.Wrong = []int{500} }, "says nothing"},
		"wrong 429":                   {func(c *Config) { c.Wrong = []int{429} }, "says nothing"},
		"right and wrong":             {func(c *Config) { c.Wrong = []int{200} }, "right and wrong"},
		"pointer without value":       {func(c *Config) { c.Pointer = "/ok" }, "belong together"},
		"value without pointer":       {func(c *Config) { c.Equals = "true" }, "belong together"},
		"no pointer":                  {func(c *Config) { c.Pointer, c.Equals = "ok", "true" }, "begins with a slash"},
		"bad pointer":                 {func(c *Config) { c.Pointer, c.Equals = "/a~2", "true" }, "~0"},
		"bare text":                   {func(c *Config) { c.Pointer, c.Equals = "/ok", "yes" }, "stands in quotes"},
		"null":                        {func(c *Config) { c.Pointer, c.Equals = "/ok", "null" }, "use a text, a number"},
		"list":                        {func(c *Config) { c.Pointer, c.Equals = "/ok", "[]" }, "use a text, a number"},
		"bad email pointer":           {func(c *Config) { c.Email = "email" }, "begins with a slash"},
		"an hour":                     {func(c *Config) { c.Timeout = time.Hour }, "use up to 30s"},
		"concurrency":                 {func(c *Config) { c.Concurrency = 1000 }, "use 1 to 256"},
		"every network":               {func(c *Config) { c.Private = []netip.Prefix{netip.MustParsePrefix("::/0")} }, "not all of them"},
	} {
		config := base()
		c.change(&config)
		_, err := New(config)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: the operator reads %v, want one line with %q", name, err, c.want)
		}
	}
}

// FuzzTemplate: whatever a password holds, the API reads exactly it.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"x", `"},{"`, `\`, "{email}", "&e=admin@example.com", "a=b", "%41", "\u2028", "</script>", "\x00", "\U0001F600"} {
		f.Add(s)
	}
	asJSON, err := New(base())
	if err != nil {
		f.Fatal(err)
	}
	c := base()
	c.ContentType, c.Body = "application/x-www-form-urlencoded", "e={email}&p={password}"
	asForm, err := New(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pw string) {
		if !utf8.ValidString(pw) {
			return
		}
		var in map[string]string
		if err := json.Unmarshal([]byte(asJSON.t.body.fill(mona, pw, asJSON.t.escape)), &in); err != nil || len(in) != 2 || in["p"] != pw || in["e"] != mona {
			t.Fatalf("JSON: %q arrives as %q, %v", pw, in, err)
		}
		v, err := url.ParseQuery(asForm.t.body.fill(mona, pw, asForm.t.escape))
		if err != nil || len(v) != 2 || len(v["p"]) != 1 || v.Get("p") != pw || v.Get("e") != mona {
			t.Fatalf("form: %q arrives as %q, %v", pw, v, err)
		}
	})
}

// FuzzAnswer: no answer is right unless a plain reading finds the value and the
// address where they must be, and no report quotes the answer.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"ok":true,"user":{"email":"mona@example.com"}}`, `{"ok":true,"ok":false}`, `[`, `{"OK":true}`, "\xff", `{"user":{"email":"a@b@c"}}`, `null`} {
		f.Add(200, []byte(s))
	}
	r, err := parseRule(Config{Pointer: "/ok", Equals: "true", Email: "/user/email"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		report := Report{Status: status}
		r.judge(&report, body, mona)
		if report.Decision == "" || report.Rule == "" || len(report.Rule) > 200 {
			t.Fatalf("%+v", report)
		}
		if report.Decision != Right {
			return
		}
		var doc map[string]json.RawMessage
		var user map[string]string
		if status != 200 || json.Unmarshal(body, &doc) != nil || strings.TrimSpace(string(doc["ok"])) != "true" || json.Unmarshal(fields(doc["user"]), &user) != nil || !strings.EqualFold(user["email"], mona) {
			t.Fatalf("%q was taken for right", body)
		}
	})
}

// fields leaves only the texts of an object.
func fields(raw json.RawMessage) []byte {
	var all map[string]any
	_ = json.Unmarshal(raw, &all)
	for k, v := range all {
		if _, ok := v.(string); !ok {
			delete(all, k)
		}
	}
	out, _ := json.Marshal(all)
	return out
}
