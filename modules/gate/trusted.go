// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// errNotStrict is the one setting under which a client chooses its own address:
// without strict, Caddy takes the left-most name of the list a client sent.
var errNotStrict = errors.New("checking the client address: trusted_proxies without trusted_proxies_strict lets clients choose their address; add trusted_proxies_strict to the servers block")

// checkTrustedProxies refuses to start a server that trusts proxies without
// strict. Where it cannot be told whether it does, every request through such a
// proxy is refused, see client.
func checkTrustedProxies(srv *caddyhttp.Server) error {
	if source := trustedSource(srv); source.IsValid() && srv.TrustedProxiesStrict == 0 {
		return errNotStrict
	}
	return nil
}

// trustedSource is the loaded list of trusted proxies; not valid when there is
// none. Caddy forgets the configuration of a module that is loaded and keeps the
// module to itself, so that reflection is the way to see it before the first
// request.
func trustedSource(srv *caddyhttp.Server) reflect.Value {
	f := reflect.ValueOf(srv).Elem().FieldByName("trustedProxies")
	if !f.IsValid() || f.Kind() != reflect.Interface || f.IsNil() {
		return reflect.Value{}
	}
	f = f.Elem()
	if f.Kind() == reflect.Pointer {
		f = f.Elem()
	}
	return f
}

// named says whether trusted proxies, and nobody before them, named the client that
// Caddy found. Caddy reads their lists from the right and leaves out what it cannot
// read: where a proxy that does not know or hides its client writes "unknown", an
// obfuscated name or a spelling of its own, what is left is what the client claimed.
func named(h http.Header, names []string, client string) bool {
	for _, name := range names {
		list := strings.Join(h.Values(name), ",")
		if strings.TrimSpace(list) == "" {
			continue // says nothing; the next header may
		}
		for _, entry := range slices.Backward(strings.Split(list, ",")) {
			ip, ok := entryAddr(entry)
			if !ok {
				return false
			}
			if ip.String() == client {
				return true
			}
		}
	}
	return false
}

// entryAddr reads one name of a list as Caddy does: a port and a zone play no part.
func entryAddr(entry string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(entry); err == nil {
		entry = host
	}
	entry, _, _ = strings.Cut(strings.TrimSpace(entry), "%")
	ip, err := netip.ParseAddr(entry)
	return ip, err == nil
}

// warnOverlaps tells of allow-lists that hold a trusted proxy's own address: a
// request whose client cannot be told must never pass as the proxy.
func (h *Handler) warnOverlaps(srv *caddyhttp.Server) {
	source := trustedSource(srv)
	if !source.IsValid() || source.Kind() != reflect.Struct {
		return
	}
	ranges := source.FieldByName("Ranges") // of the static list
	if !ranges.IsValid() || ranges.Kind() != reflect.Slice {
		return
	}
	var prefixes []netip.Prefix
	for i := range ranges.Len() {
		if p, err := caddyhttp.CIDRExpressionToPrefix(ranges.Index(i).String()); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	for _, list := range h.app.ListsOver(prefixes) {
		h.logger.Warn("a list allows the address of a trusted proxy; name the clients behind it instead", zap.String("list", list))
	}
}
