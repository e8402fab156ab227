// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/state"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]string{
		"redis://localhost":                               "[localhost:6379]   0   false notls",
		"redis://:pw@10.0.0.1:6380/3":                     "[10.0.0.1:6380]  pw 3   false notls",
		"rediss://u:p%40%2F@h/":                           "[h:6379] u p@/ 0   false tls",
		"redis://[::1]:7000":                              "[[::1]:7000]   0   false notls",
		"redis://[::1]":                                   "[[::1]:6379]   0   false notls",
		"redis://a:1?addr=b:2&addr=c":                     "[a:1 b:2 c:6379]   0   false notls",
		"redis://a?master=m&sentinel_password=sp":         "[a:6379]   0 m sp false notls",
		"redis://a?cluster=true":                          "[a:6379]   0   true notls",
		"redis://u@h":                                     "[h:6379] u  0   false notls",
		"redis://h?sentinel_username=s&master=m&addr=h:2": "[h:6379 h:2]   0 m  false notls",
	} {
		c, err := ParseURL(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		tls := "notls"
		if c.TLS != nil {
			tls = "tls"
		}
		got := fmt.Sprintf("%v %s %s %d %s %s %v %s", c.Addrs, c.Username, string(c.Password), c.DB, c.MasterName, string(c.SentinelPassword), c.Cluster, tls)
		if got != want {
			t.Errorf("%s: read as %q, want %q", raw, got, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, raw := range []string{
		"", "localhost:6379", "http://:s3cret@h", "redis:s3cret", "redis://", "redis://:s3cret@", "redis://:s3cret@h:x", "redis://:s3cret@h:0",
		"redis://:s3cret@h:99999", "redis://:s3cret@h/x", "redis://:s3cret@h/-1", "redis://:s3cret@h?unknown=1", "redis://:s3cret@h?cluster=maybe",
		"redis://:s3cret@h?master=a&master=b", "redis://:s3cret@h?addr=:1", "redis://:s3cret@h#s3cret", "redis://:s3cret%zz@h", "redis://:s3cret/x@h", "redis://:s3cret@h?a=%zz",
	} {
		_, err := ParseURL(raw)
		if err == nil {
			t.Errorf("%q was accepted", raw)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"no address":            {},
		"empty address":         {Addrs: []string{""}},
		"sentinel and cluster":  {Addrs: []string{"a:1"}, MasterName: "m", Cluster: true},
		"database of a cluster": {Addrs: []string{"a:1", "b:1"}, DB: 1},
		"negative time-out":     {Addrs: []string{"a:1"}, Timeout: -1},
	} {
		if s, err := Open(c); err == nil {
			_ = s.Close()
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestConfigHidesSecrets(t *testing.T) {
	c := Config{Addrs: []string{"h:1"}, Username: "u", Password: "s3cret-one", SentinelPassword: "s3cret-two"}
	j, err := json.Marshal(c.Password)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c.Password, c.Password), fmt.Sprintf("%+v", &c), string(j)} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("a printed configuration shows a password: %s", text)
		}
	}
}

func TestKeysOfAccounts(t *testing.T) {
	seen := map[string]string{}
	for _, a := range []string{"", ".", "a", "a.", "%2E", "a}", "{a", "a}:entry:", "A", "ü", "a b", "a+b", "a%20b"} {
		k := keysOf(a)
		if other, dup := seen[k.entries]; dup {
			t.Errorf("accounts %q and %q share their keys", a, other)
		}
		seen[k.entries] = a
		if strings.Count(k.entries, "{") != 1 || strings.Count(k.entries, "}") != 1 || strings.Contains(k.entries, "{}") {
			t.Errorf("account %q has the hash tag of %q", a, k.entries)
		}
	}
}

func TestParseMessage(t *testing.T) {
	m, err := parseMessage("7 0 1500 3 a b\x00 value ")
	if err != nil || m.seq != 7 || m.kind != state.Put || m.ttl != 1500 || m.key != "a b" || m.value != "\x00 value " {
		t.Errorf("message read as %+v, %v", m, err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "1", "1 0 0 0 ", "1 0 0 1 k", "2 1 0 1 k", "3 2 0 0 ", "-1 0 0 0 ", "1 0 0 9 k", "1 0 -5 1 kv", "99999999999999999999 0 0 0 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := parseMessage(payload)
		if err != nil {
			return
		}
		if m.kind > state.Deleted || m.seq < 0 || m.ttl < 0 || !strings.HasSuffix(payload, " "+m.key+m.value) {
			t.Fatalf("%q was read as %+v", payload, m)
		}
	})
}

func FuzzURL(f *testing.F) {
	f.Add("redis://u:planted@h:1/2?addr=b&master=m")
	f.Add("rediss://[::1]?cluster=true")
	f.Add("redis://:planted@h:x")
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := ParseURL(raw)
		if err != nil {
			if strings.Contains(raw, "planted@") && strings.Contains(err.Error(), "planted") {
				t.Fatalf("the error shows the password: %v", err)
			}
			return
		}
		if len(c.Addrs) == 0 || c.DB < 0 {
			t.Fatalf("%q was read as %+v", raw, c)
		}
	})
}
