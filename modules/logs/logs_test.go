// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logger returns one that writes through an encoder as the Caddyfile has it.
func logger(t *testing.T, text string, out *bytes.Buffer) *zap.Logger {
	t.Helper()
	e := new(Encoder)
	if err := e.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	if err := e.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := e.ConfigureDefaultFormat(caddy.DiscardWriter{}); err != nil {
		t.Fatal(err)
	}
	return zap.New(zapcore.NewCore(e, zapcore.AddSync(out), zapcore.InfoLevel))
}

func request() caddyhttp.LoggableHTTPRequest {
	r := httptest.NewRequest(http.MethodGet, "/leads?phone=9812345678", nil)
	r.Header.Set("Referer", "https://crm.example.com/search?mail=asha@example.com")
	r.Header.Set("Cookie", "__Host-crmgate=s3cret-cookie")
	r.Header.Set("Accept", "text/html?x")
	return caddyhttp.LoggableHTTPRequest{Request: r}
}

// secret are what must not be in a line.
var secrets = []string{"9812345678", "asha@example.com", "s3cret-cookie", "s3cret-code", "s3cret-state", "s3cret-token"}

// TestQueriesAreInNoLine: an access log is kept for years and read by many. Who
// somebody looked for, and what signs somebody in, stay out of it however Caddy
// comes to write an address.
func TestQueriesAreInNoLine(t *testing.T) {
	answer := caddyhttp.LoggableHTTPHeader{Header: http.Header{
		"Location": {"https://idp.example.com/authorize?state=s3cret-state", "/done#s3cret-token"},
		"Link":     {`</leads?phone=9812345678>; rel="next"`}, "Refresh": {"0; url=/x?code=s3cret-code"},
		"Content-Location": {"/a?b=s3cret-code"}, "X-Frame-Options": {"DENY?"},
	}}
	for name, write := range map[string]func(*zap.Logger){
		"a request of the line":             func(l *zap.Logger) { l.Info("handled request", zap.Object("request", request())) },
		"a request of all lines":            func(l *zap.Logger) { l.With(zap.Object("request", request())).Error("no") },
		"a request of all lines, later":     func(l *zap.Logger) { l.WithLazy(zap.Object("request", request())).Error("no") },
		"an answer":                         func(l *zap.Logger) { l.Info("ok", zap.Object("resp_headers", answer)) },
		"an answer of all lines":            func(l *zap.Logger) { l.With(zap.Object("resp_headers", answer)).Info("ok") },
		"an address by itself":              func(l *zap.Logger) { l.Info("admin", zap.String("uri", "/people?email=asha@example.com")) },
		"an address by itself of all lines": func(l *zap.Logger) { l.With(zap.String("URI", "/people?email=asha@example.com")).Info("admin") },
		"an address in bytes":               func(l *zap.Logger) { l.Info("admin", zap.ByteString("uri", []byte("/?code=s3cret-code"))) },
		"a list of addresses":               func(l *zap.Logger) { l.With(zap.Strings("location", []string{"/?code=s3cret-code"})).Info("x") },
		"a list of addresses in bytes":      func(l *zap.Logger) { l.Info("x", zap.ByteStrings("location", [][]byte{[]byte("/?code=s3cret-code")})) },
		"an object in a namespace": func(l *zap.Logger) {
			l.With(zap.Object("request", request()), zap.Namespace("in"), zap.Object("again", request())).Info("x", zap.Object("third", request()))
		},
		"objects in a list": func(l *zap.Logger) {
			l.Info("x", zap.Objects("tried", []caddyhttp.LoggableHTTPRequest{request(), request()}))
		},
	} {
		for _, text := range []string{"crmgate", "crmgate {\nwrap json\n}", "crmgate {\nwrap console\n}", "crmgate {\nwrap filter {\nsomething delete\n}\n}"} {
			t.Run(name+"/"+strings.Join(strings.Fields(text), " "), func(t *testing.T) {
				var out bytes.Buffer
				write(logger(t, text, &out))
				line := out.String()
				for _, s := range secrets {
					if strings.Contains(line, s) {
						t.Errorf("whoever reads the log learns %q: %s", s, line)
					}
				}
				if strings.Count(line, "\n") != 1 || !strings.Contains(line, "?...") && !strings.Contains(line, "#...") {
					t.Errorf("not one line that says where something was left out: %q", line)
				}
			})
		}
	}
}

// TestLinesAreOtherwiseCaddys: what a log is searched for stays where it was.
func TestLinesAreOtherwiseCaddys(t *testing.T) {
	var out bytes.Buffer
	l := logger(t, "crmgate", &out).Named("http.log.access").With(zap.String("upstream", "10.1.0.5:8080"), zap.Object("request", request()))
	l.Info("handled request", zap.Int("status", 200), zap.Error(errors.New("what? yes")), zap.String("user_id", "u?1"), zap.Namespace("more"), zap.Bool("done", true))
	var line struct {
		Level, Logger, Msg, Upstream, Error string
		UserID                              string `json:"user_id"`
		Status                              int
		Request                             struct {
			Method, Host, URI string
			Headers           map[string][]string
		}
		More map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	r := line.Request
	if line.Level != "info" || line.Logger != "http.log.access" || line.Msg != "handled request" || line.Upstream != "10.1.0.5:8080" || line.Status != 200 ||
		line.Error != "what? yes" || line.UserID != "u?1" || r.Method != "GET" || r.Host != "example.com" || r.URI != "/leads?..." ||
		r.Headers["Referer"][0] != "https://crm.example.com/search?..." || r.Headers["Cookie"][0] != "REDACTED" || r.Headers["Accept"][0] != "text/html?x" || line.More["done"] != true {
		t.Errorf("the line lost something, or says it elsewhere: %s", out.String())
	}
}

// counted counts how often it is encoded.
type counted struct{ n *int }

func (c counted) MarshalLogObject(zapcore.ObjectEncoder) error { *c.n++; return nil }

// TestNothingIsEncodedForLinesNobodyWrites: the proxy prepares a line for each
// request, for whoever debugs.
func TestNothingIsEncodedForLinesNobodyWrites(t *testing.T) {
	var out bytes.Buffer
	n := 0
	l := logger(t, "crmgate", &out).With(zap.Object("request", counted{&n}))
	l.Debug("upstream roundtrip")
	if n != 0 || out.Len() != 0 {
		t.Errorf("encoded %d times for a line that was not written", n)
	}
	l.Info("one")
	l.Info("two")
	if n != 2 || strings.Count(out.String(), `"request":{}`) != 2 {
		t.Errorf("encoded %d times for two lines: %s", n, out.String())
	}
}

// TestLoggersDoNotMix: what is added to one logger is in no other's lines, however
// they come from one another.
func TestLoggersDoNotMix(t *testing.T) {
	var out bytes.Buffer
	n := 0
	base := logger(t, "crmgate", &out).With(zap.Object("base", counted{&n}))
	a, b := base.With(zap.Object("a", counted{&n})), base.With(zap.Object("b", counted{&n}))
	for want, l := range map[string]*zap.Logger{`"base":{},"a":{}}`: a, `"base":{},"b":{}}`: b, `"base":{}}`: base} {
		out.Reset()
		l.Info("x")
		if line := strings.TrimSpace(out.String()); !strings.HasSuffix(line, want) {
			t.Errorf("the line should end in %s: %s", want, line)
		}
	}
}

func TestBadFormat(t *testing.T) {
	for text, want := range map[string]string{
		"crmgate json":                            "wrong argument count",
		"crmgate {\nwrap\n}":                      "wrong argument count",
		"crmgate {\nwrap json\nwrap json\n}":      "twice",
		"crmgate {\nquery show\n}":                "unrecognized option",
		"crmgate {\nwrap nonsense\n}":             "nonsense",
		"crmgate {\nwrap filter {\nx nonsense\n}": "nonsense",
	} {
		if err := new(Encoder).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}

// TestNotWithinAnother: within filter, fields of one line would end up in later ones.
func TestNotWithinAnother(t *testing.T) {
	for text, refused := range map[string]bool{
		`{"logging":{"logs":{"default":{"encoder":{"format":"filter","wrap":{"format":"crmgate"}}}}}}`:                             true,
		`{"logging":{"logs":{"default":{"encoder":{"format":"append","fields":{},"wrap":{"format":"crmgate"}}}}}}`:                 true,
		`{"logging":{"logs":{"default":{"encoder":{"format":"crmgate","wrap":{"format":"filter","wrap":{"format":"console"}}}}}}}`: false,
		`{"logging":{"logs":{"default":{"encoder":{"format":"crmgate"}}}}}`:                                                        false,
	} {
		var cfg caddy.Config
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&cfg); (err != nil && strings.Contains(err.Error(), "the other way round")) != refused || !refused && err != nil {
			t.Errorf("%s: %v, want it refused: %v", text, err, refused)
		}
	}
}

// BenchmarkUnwritten is what the proxy's line for each request costs, beside what
// it costs with Caddy's own encoder.
func BenchmarkUnwritten(b *testing.B) {
	inner := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	for name, enc := range map[string]zapcore.Encoder{"crmgate": &Encoder{Encoder: inner}, "json": inner} {
		b.Run(name, func(b *testing.B) {
			r := request()
			l := zap.New(zapcore.NewCore(enc, zapcore.AddSync(new(bytes.Buffer)), zapcore.InfoLevel))
			b.ReportAllocs()
			for b.Loop() {
				l.With(zap.String("upstream", "10.1.0.5:8080"), zap.Duration("duration", 1), zap.Object("request", r)).Debug("upstream roundtrip")
			}
		})
	}
}
