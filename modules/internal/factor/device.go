// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// DeviceSettings say for how long and how narrowly a device is trusted.
type DeviceSettings struct {
	// Days a device is trusted: 7, 15, 30, 60, 90 or 180; 0: no device is. A smaller
	// number also shortens what was granted before.
	Days int
	// BindAgent ends the trust when the browser or the system becomes another one. An
	// update does not.
	BindAgent bool
	// IPv4Prefix (0 ... 32) and IPv6Prefix (0 ... 128) are the network the device
	// must come from again; 0: any of that family.
	IPv4Prefix, IPv6Prefix int
}

// DeviceDays are the times a device can be trusted for, in days.
var DeviceDays = []int{7, 15, 30, 60, 90, 180}

// Check says what is out of range.
func (s DeviceSettings) Check() error {
	switch {
	case s.Days != 0 && !slices.Contains(DeviceDays, s.Days):
		return fmt.Errorf("checking trusted-device settings: %d days; use 7, 15, 30, 60, 90, 180, or 0 for none", s.Days)
	case s.IPv4Prefix < 0 || s.IPv4Prefix > 32:
		return fmt.Errorf("checking trusted-device settings: ipv4_prefix %d; use 0 to 32", s.IPv4Prefix)
	case s.IPv6Prefix < 0 || s.IPv6Prefix > 128:
		return fmt.Errorf("checking trusted-device settings: ipv6_prefix %d; use 0 to 128", s.IPv6Prefix)
	}
	return nil
}

// network is the part of an address a device is bound to; "" when to none.
func (s DeviceSettings) network(ip netip.Addr) (string, error) {
	ip = ip.Unmap().WithZone("")
	bits := s.IPv4Prefix
	if ip.Is6() {
		bits = s.IPv6Prefix
	}
	if !ip.IsValid() {
		return "", errors.New("trusting a device: the client's address is missing")
	}
	if bits == 0 {
		return "", nil
	}
	p, err := ip.Prefix(bits)
	return p.String(), err
}

// Device is a browser that need not prove the second factor.
type Device struct {
	ID      string
	Label   string
	Agent   string // "Firefox on Windows"
	IP      string // where it was when it was trusted
	Granted time.Time
	Used    time.Time // zero: not since
	Expires time.Time
}

// deviceRow is a credential "device/<id>".
type deviceRow struct {
	common
	Hash    []byte    `json:"hash"` // SHA-256 of the secret, which only the browser has
	Agent   string    `json:"agent"`
	Family  string    `json:"family"`
	IP      string    `json:"ip"`
	Network string    `json:"network"`
	Until   time.Time `json:"until"`
	Facts   string    `json:"facts"` // the password and factors it was granted under
}

func (r *deviceRow) whole() bool {
	return r.common.whole() && len(r.Hash) == sha256.Size && !r.Until.IsZero() && r.Facts != ""
}

const (
	devicePrefix = "device/"
	deviceIDLen  = 22 // 16 bytes in base64url
)

// expires is when a device is no longer trusted under the settings of today.
func (r *deviceRow) expires(s DeviceSettings) time.Time {
	if end := r.Added.Add(time.Duration(s.Days) * 24 * time.Hour); end.Before(r.Until) {
		return end
	}
	return r.Until
}

// GrantDevice trusts the browser a sign-in just ended in and returns the cookie's
// value and its expiry. done must be what Finish returned; ErrNotDue unless a
// second factor, and not only a recovery code, was proved in this very sign-in.
// With trusted devices switched off it is ErrKind.
func (m *Manager) GrantDevice(ctx context.Context, done Pending, agent string, ip netip.Addr, label string) (cookie string, expires time.Time, err error) {
	s := m.settings().Device
	switch {
	case s.Days == 0:
		return "", time.Time{}, ErrKind
	case !done.finished || done.Purpose != SignIn || done.Factor == "" || done.Factor == Recovery:
		return "", time.Time{}, ErrNotDue
	}
	network, err := s.network(ip)
	if err != nil {
		return "", time.Time{}, err
	}
	creds, err := m.o.Records.Credentials(ctx, done.PersonID)
	if err != nil {
		return "", time.Time{}, err
	}
	facts, err := m.facts(creds)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := m.makeRoom(ctx, creds); err != nil {
		return "", time.Time{}, err
	}
	id, err := m.random(16)
	if err != nil {
		return "", time.Time{}, err
	}
	secret, err := m.random(32)
	if err != nil {
		return "", time.Time{}, err
	}
	head, err := m.newCommon(label)
	if err != nil {
		return "", time.Time{}, err
	}
	hash := sha256.Sum256([]byte(secret))
	row := &deviceRow{
		common: head, Hash: hash[:], Agent: AgentName(agent), IP: ip.Unmap().WithZone("").String(), Network: network,
		Until: head.Added.Add(time.Duration(s.Days) * 24 * time.Hour), Facts: facts,
	}
	if s.BindAgent {
		row.Family = agentFamily(agent)
	}
	if err := m.swapRow(ctx, done.PersonID, devicePrefix+id, row, nil); err != nil {
		return "", time.Time{}, err
	}
	return id + "." + secret, row.Until, nil
}

// makeRoom removes what is over, and the oldest devices until one more fits.
func (m *Manager) makeRoom(ctx context.Context, creds []records.Credential) error {
	rows := map[string]*deviceRow{}
	for _, c := range creds {
		if strings.HasPrefix(c.Kind, devicePrefix) {
			r := new(deviceRow)
			if m.openRow(c, r) != nil || !m.now().Before(r.expires(m.settings().Device)) {
				if err := m.o.Records.DeleteCredential(ctx, c.PersonID, c.Kind); err != nil {
					return err
				}
				continue
			}
			rows[c.Kind] = r
		}
	}
	for len(rows) >= MaxDevices {
		oldest := ""
		for kind, r := range rows {
			if oldest == "" || r.Added.Before(rows[oldest].Added) || r.Added.Equal(rows[oldest].Added) && kind < oldest {
				oldest = kind
			}
		}
		if err := m.o.Records.DeleteCredential(ctx, creds[0].PersonID, oldest); err != nil {
			return err
		}
		delete(rows, oldest)
	}
	return nil
}

// facts is a digest of what a device is trusted under: the password's hash and
// which factors there are. Counters and codes used up do not change it.
func (m *Manager) facts(creds []records.Credential) (string, error) {
	h := sha256.New()
	add := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	for _, c := range creds {
		switch kindOf(c.Kind) {
		case "password":
			add(c.Kind)
			add(string(c.Secret))
		case TOTP, Passkey, Mail, SMS, "phone", Recovery:
			row := newRow(kindOf(c.Kind))
			if err := m.openRow(c, row); err != nil {
				return "", err
			}
			add(c.Kind)
			add(row.head().Serial)
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil
}

// newRow is an empty row of a kind of factor.
func newRow(kind string) stored {
	switch kind {
	case TOTP:
		return new(totpRow)
	case Passkey:
		return new(passkeyRow)
	case SMS, "phone":
		return new(phoneRow)
	case Recovery:
		return new(recoveryRow)
	}
	return new(plainRow)
}

// errNoDevice is why a device is not trusted, for tests and for nobody else.
var errNoDevice = errors.New("factor: not a trusted device")

// parseDevice reads a cookie: the device's id, a dot, 43 characters of base64url.
func parseDevice(cookie string) (id, secret string, ok bool) {
	id, secret, ok = strings.Cut(cookie, ".")
	if !ok || len(id) != deviceIDLen {
		return "", "", false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(id); err != nil || strings.ContainsAny(id, "\r\n") {
		return "", "", false
	}
	_, ok = secretHash(secret)
	return id, secret, ok
}

// TrustedDevice says whether the browser with this cookie need not prove the
// person's second factor. False for every cookie that is malformed, unknown,
// another person's, expired, from another browser or network than it was granted
// for, or older than a change of the password or of a factor. An error is a
// store's, and no trust either.
func (m *Manager) TrustedDevice(ctx context.Context, personID, cookie, agent string, ip netip.Addr) (bool, error) {
	err := m.checkDevice(ctx, personID, cookie, agent, ip)
	if errors.Is(err, errNoDevice) {
		return false, nil
	}
	return err == nil, err
}

func (m *Manager) checkDevice(ctx context.Context, personID, cookie, agent string, ip netip.Addr) error {
	s := m.settings().Device
	id, secret, ok := parseDevice(cookie)
	if !ok || s.Days == 0 {
		return errNoDevice
	}
	network, err := s.network(ip)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDevice, err)
	}
	creds, err := m.o.Records.Credentials(ctx, personID)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(creds, func(c records.Credential) bool { return c.Kind == devicePrefix+id })
	if at < 0 {
		return errNoDevice
	}
	row := new(deviceRow)
	if err := m.openRow(creds[at], row); err != nil {
		return fmt.Errorf("%w: %w", errNoDevice, err)
	}
	hash := sha256.Sum256([]byte(secret))
	family := ""
	if s.BindAgent {
		family = agentFamily(agent)
	}
	facts, err := m.facts(creds)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errNoDevice, err)
	case subtle.ConstantTimeCompare(hash[:], row.Hash) != 1:
		return fmt.Errorf("%w: its secret is another", errNoDevice)
	case !m.now().Before(row.expires(s)):
		return fmt.Errorf("%w: expired", errNoDevice)
	case s.BindAgent && family != row.Family:
		return fmt.Errorf("%w: another browser or system", errNoDevice)
	case network != "" && network != row.Network:
		return fmt.Errorf("%w: another network", errNoDevice)
	case facts != row.Facts:
		return fmt.Errorf("%w: the password or a factor changed", errNoDevice)
	}
	if m.now().Sub(row.Used) >= time.Hour { // for the list; losing against somebody else costs nothing
		row.Used = m.now()
		if err := m.swapRow(ctx, personID, devicePrefix+id, row, creds[at].Secret); err != nil && !errors.Is(err, records.ErrConflict) {
			return err
		}
	}
	return nil
}
