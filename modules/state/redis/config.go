// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// Secret is a string that shows itself only to those who convert it.
type Secret string

const redacted = "[redacted]"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Config says where Redis is. Printing it shows no password.
type Config struct {
	Addrs    []string // "host:port"; several: Cluster nodes, or Sentinels with MasterName
	Username string
	Password Secret
	DB       int // number of the database; 0 with a Cluster

	MasterName       string // the name Sentinel knows the master by; "": no Sentinel
	SentinelUsername string
	SentinelPassword Secret
	Cluster          bool // one address is enough to find a Cluster

	TLS *tls.Config // nil: no TLS

	Timeout  time.Duration // for dialling, a read and a write each; 0: 300 ms
	PoolSize int           // connections to each node; 0: 8 for each CPU, at least 16

	Account string      // the account the entries belong to
	Clock   clock.Clock // nil: clock.System; entries expire by the server's clock
}

// ParseURL reads
//
//	redis://[user:password@]host[:port][/db]
//
// with rediss:// for TLS. Further hosts are given as ?addr=host:port, as often as
// needed; ?master=name makes all of them Sentinels, ?cluster=true (or more than
// one host without a master) Cluster nodes; ?sentinel_username= and
// ?sentinel_password= sign in to Sentinel. Port 6379 and database 0 are the
// defaults. An unknown part is an error; no error shows any of the URL's secrets.
func ParseURL(raw string) (Config, error) {
	cfg, err := parseURL(raw)
	if err != nil {
		return Config{}, fmt.Errorf("parsing the redis URL: %w", err)
	}
	return cfg, nil
}

func parseURL(raw string) (Config, error) {
	var cfg Config
	u, err := url.Parse(raw)
	if err != nil {
		// The error of package url quotes the URL, password and all.
		return cfg, errors.New("it is no URL; write redis://user:password@host:6379/0 and percent-encode special characters")
	}
	switch u.Scheme {
	case "redis":
	case "rediss":
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // the name checked is that of each address
	default:
		return cfg, errors.New("it does not begin with redis:// or rediss://")
	}
	if u.Opaque != "" || u.Fragment != "" {
		return cfg, errors.New("write redis://user:password@host:6379/0 and percent-encode special characters")
	}
	if cfg.Addrs, err = appendAddr(nil, u.Host); err != nil {
		return cfg, err
	}
	cfg.Username = u.User.Username()
	password, _ := u.User.Password()
	cfg.Password = Secret(password)
	if db := strings.TrimPrefix(u.Path, "/"); db != "" {
		if cfg.DB, err = strconv.Atoi(db); err != nil || cfg.DB < 0 {
			return cfg, errors.New("the database is a number from 0, as in redis://host:6379/0")
		}
	}
	return cfg, cfg.options(u.RawQuery)
}

func (c *Config) options(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what follows the ? cannot be read")
	}
	for name, vs := range values {
		if name != "addr" && len(vs) != 1 {
			return fmt.Errorf("option %q is given more than once", name)
		}
		switch v := vs[0]; name {
		case "addr":
			for _, v := range vs {
				if c.Addrs, err = appendAddr(c.Addrs, v); err != nil {
					return err
				}
			}
		case "master":
			c.MasterName = v
		case "sentinel_username":
			c.SentinelUsername = v
		case "sentinel_password":
			c.SentinelPassword = Secret(v)
		case "cluster":
			if c.Cluster, err = strconv.ParseBool(v); err != nil {
				return errors.New("option cluster is true or false")
			}
		default:
			return fmt.Errorf("unknown option %q; known are addr, master, cluster, sentinel_username, sentinel_password", name)
		}
	}
	return nil
}

// appendAddr adds a host, with port 6379 when it names none.
func appendAddr(addrs []string, host string) ([]string, error) {
	h, port, err := net.SplitHostPort(host)
	if err != nil {
		h, port = strings.Trim(host, "[]"), "6379"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, errors.New("a port is a number from 1 to 65535")
	}
	if h == "" {
		return nil, errors.New("a host is missing")
	}
	return append(addrs, net.JoinHostPort(h, port)), nil
}

// complete checks the configuration and fills in the defaults.
func (c Config) complete() (Config, error) {
	switch {
	case len(c.Addrs) == 0 || slices.Contains(c.Addrs, ""):
		return c, errors.New("an address is missing")
	case c.MasterName != "" && c.Cluster:
		return c, errors.New("it is either behind Sentinel or a Cluster, not both")
	case c.DB != 0 && (c.Cluster || c.MasterName == "" && len(c.Addrs) > 1):
		return c, errors.New("a Cluster has database 0 only")
	case c.DB < 0, c.Timeout < 0, c.PoolSize < 0:
		return c, errors.New("database, time-out and pool size cannot be negative")
	}
	c.Timeout = cmp.Or(c.Timeout, 300*time.Millisecond)
	c.PoolSize = cmp.Or(c.PoolSize, max(16, 8*runtime.GOMAXPROCS(0)))
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	return c, nil
}
