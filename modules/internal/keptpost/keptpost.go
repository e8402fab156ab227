// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package keptpost keeps a form that a browser sent with a session that had
// ended, so that it is not lost while its person signs in again.
//
// A form is kept for Lifetime, sealed by the vault for the very browser that sent
// it: without the secret in that browser's cookie, nobody can open it, the
// gateway included. It is given back once, to a person who signed in in that
// browser and confirmed it, and to nobody but the person whose session had ended
// when that is known.
//
// Refused, and then nothing is kept: what another site made the browser send, or
// may have (ErrCrossSite); other methods than POST, bodies that are no form, codings
// and paths that are not canonical or the gate's own (ErrKind); what is larger than
// MaxBytes (ErrTooLarge); and too many at once (ErrTooMany). An entry that is
// gone, expired, of another browser, or cannot be opened is ErrNotFound; nobody
// learns which. Another person gets ErrPerson, and the entry stays for its owner.
package keptpost

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Lifetime is how long a form is kept.
const Lifetime = 10 * time.Minute

// MaxBytes is the default and the greatest size of a body. A state store holds
// values of 64 KiB for certain; one KiB of them is for the seal and the target.
const MaxBytes = 63 << 10

// maxTarget is the greatest length of path, query and content type together.
const maxTarget = 896

// How many forms are kept: of one address (a /64 for IPv6), and of all.
var (
	PerAddress = state.Limit{Events: 10, Per: 10 * time.Minute}
	All        = state.Limit{Events: 500, Per: 10 * time.Minute}
)

// Errors callers branch on.
var (
	ErrCrossSite = errors.New("the form may come from another site")
	ErrKind      = errors.New("this is no form that can be kept")
	ErrTooLarge  = errors.New("the form is too large to be kept")
	ErrTooMany   = errors.New("too many forms are kept already")
	ErrNotFound  = errors.New("there is no such form, or not any more")
	ErrPerson    = errors.New("the form belongs to somebody else")
)

// Options of New. State and Vault must be set.
type Options struct {
	State     state.Store
	Vault     *vault.Vault
	MaxBytes  int         // of a body; 0: MaxBytes, which is also the most
	Multipart bool        // keep multipart/form-data too, not only urlencoded forms
	Clock     clock.Clock // nil: the machine's
	Rand      io.Reader   // nil: crypto/rand
}

// Keeper keeps forms. Safe for concurrent use.
type Keeper struct{ o Options }

// New returns a Keeper.
func New(o Options) *Keeper {
	if o.MaxBytes <= 0 || o.MaxBytes > MaxBytes {
		o.MaxBytes = MaxBytes
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Keeper{o: o}
}

// Kept is one form.
type Kept struct {
	Method          string // POST
	Path            string // as the gate judged it: canonical, escaped
	Query           string // raw, without the question mark
	ContentType     string
	ContentEncoding string // must be ""
	Body            []byte
	PersonID        string     // whose session had ended; "" when that is not known
	Client          netip.Addr // who sent it; must be valid
	// SameSite says that the browser proved that the request came from the gate's
	// own pages or the CRM's: never set without proof.
	SameSite bool
}

// Shown is what a confirm page may show of a form: no value.
type Shown struct {
	Method   string
	Path     string
	Size     int // bytes of the body
	Until    time.Time
	PersonID string // whose it is; "" when that is not known
}

// entry is the sealed part before the body.
type entry struct {
	Path        string    `json:"path"`
	Query       string    `json:"query,omitempty"`
	ContentType string    `json:"content_type"`
	PersonID    string    `json:"person,omitempty"`
	Expires     time.Time `json:"expires"`
}

const (
	prefix  = "kept_post/"
	purpose = "kept_post"
	idBytes = 16
	secrets = 32
)

// Keep keeps a form. id may stand in a URL; secret goes into a cookie of the
// browser and nowhere else.
func (k *Keeper) Keep(ctx context.Context, form Kept) (id, secret string, err error) {
	if err := k.check(form); err != nil {
		return "", "", err
	}
	for _, l := range []struct {
		key   string
		limit state.Limit
	}{{prefix + "of/" + block(form.Client), PerAddress}, {prefix + "all", All}} {
		verdict, err := k.o.State.Admit(ctx, l.key, l.limit)
		if err != nil {
			return "", "", fmt.Errorf("keeping a form: %w", err)
		}
		if !verdict.Allowed {
			return "", "", ErrTooMany
		}
	}
	random := make([]byte, idBytes+secrets)
	if _, err := io.ReadFull(k.o.Rand, random); err != nil {
		return "", "", fmt.Errorf("keeping a form: %w", err)
	}
	id, secret = base64.RawURLEncoding.EncodeToString(random[:idBytes]), base64.RawURLEncoding.EncodeToString(random[idBytes:])
	head, err := json.Marshal(entry{
		Path: form.Path, Query: form.Query, ContentType: form.ContentType, PersonID: form.PersonID, Expires: k.o.Clock.Now().Add(Lifetime),
	})
	if err != nil {
		return "", "", fmt.Errorf("keeping a form: %w", err)
	}
	plain := append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)
	sealed, err := k.o.Vault.Seal(purpose, id+"."+secret, append(plain, form.Body...))
	if err != nil {
		return "", "", fmt.Errorf("keeping a form: %w", err)
	}
	if err := k.o.State.Put(ctx, prefix+"form/"+id, sealed, Lifetime); err != nil {
		return "", "", fmt.Errorf("keeping a form: %w", err)
	}
	return id, secret, nil
}

// Worth says whether a form could be kept, judged by its head alone: before its
// body is read. length is the Content-Length, -1 when it is not known.
func (k *Keeper) Worth(form Kept, length int64) error {
	if length > int64(k.o.MaxBytes) {
		return ErrTooLarge
	}
	return k.check(form)
}

// check holds a form against what may be kept.
func (k *Keeper) check(form Kept) error {
	if !form.SameSite {
		return ErrCrossSite
	}
	if !form.Client.IsValid() {
		return errors.New("keeping a form: the client's address is unknown")
	}
	if form.Method != "POST" || form.ContentEncoding != "" || !target(form.Path, form.Query) {
		return ErrKind
	}
	media, params, err := mime.ParseMediaType(form.ContentType)
	switch {
	case err != nil:
		return ErrKind
	case media == "application/x-www-form-urlencoded":
	case media == "multipart/form-data" && k.o.Multipart && params["boundary"] != "":
	default:
		return ErrKind
	}
	if len(form.Body) > k.o.MaxBytes || len(form.Path)+len(form.Query)+len(form.ContentType)+len(form.PersonID) > maxTarget {
		return ErrTooLarge
	}
	return nil
}

// target takes paths on this host that are none of the gate's own.
func target(path, query string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || path == "/.crmgate" || strings.HasPrefix(path, "/.crmgate/") {
		return false
	}
	for _, r := range path + query {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`\#"<>`, r) {
			return false
		}
	}
	u, err := url.ParseRequestURI(path + "?" + query)
	return err == nil && u.Host == "" && u.Scheme == "" && u.RawQuery == query && !strings.Contains(path, "?")
}

// Show says what is kept, to the browser that sent it. It changes nothing.
func (k *Keeper) Show(ctx context.Context, id, secret string) (Shown, error) {
	e, body, err := k.open(ctx, id, secret)
	if err != nil {
		return Shown{}, err
	}
	return Shown{Method: "POST", Path: e.Path, Size: len(body), Until: e.Expires, PersonID: e.PersonID}, nil
}

// Take gives a form back, once, to the person who signed in in the browser that
// sent it. The caller lets it pass through every rule like any other request.
func (k *Keeper) Take(ctx context.Context, id, secret, personID string) (Kept, error) {
	e, body, err := k.open(ctx, id, secret)
	if err != nil {
		return Kept{}, err
	}
	if personID == "" || e.PersonID != "" && e.PersonID != personID {
		return Kept{}, ErrPerson
	}
	_, err = k.o.State.Take(ctx, prefix+"form/"+id)
	if errors.Is(err, state.ErrNotFound) {
		return Kept{}, ErrNotFound // another request was quicker
	}
	if err != nil {
		return Kept{}, fmt.Errorf("giving a form back: %w", err)
	}
	return Kept{Method: "POST", Path: e.Path, Query: e.Query, ContentType: e.ContentType, Body: body, PersonID: personID}, nil
}

// Drop forgets a form whose person does not want it sent.
func (k *Keeper) Drop(ctx context.Context, id, secret string) error {
	if _, _, err := k.open(ctx, id, secret); err != nil {
		return err
	}
	if err := k.o.State.Delete(ctx, prefix+"form/"+id); err != nil {
		return fmt.Errorf("forgetting a form: %w", err)
	}
	return nil
}

// open reads an entry without taking it. Only the right secret opens it.
func (k *Keeper) open(ctx context.Context, id, secret string) (e entry, body []byte, err error) {
	if len(id) != base64.RawURLEncoding.EncodedLen(idBytes) || len(secret) != base64.RawURLEncoding.EncodedLen(secrets) {
		return e, nil, ErrNotFound
	}
	got, err := k.o.State.Get(ctx, prefix+"form/"+id)
	if errors.Is(err, state.ErrNotFound) {
		return e, nil, ErrNotFound
	}
	if err != nil {
		return e, nil, fmt.Errorf("looking for a form: %w", err)
	}
	plain, err := k.o.Vault.Open(purpose, id+"."+secret, got.Value)
	if err != nil {
		return e, nil, ErrNotFound
	}
	b := plain.Reveal()
	if len(b) < 4 || int64(binary.BigEndian.Uint32(b)) > int64(len(b)-4) {
		return e, nil, ErrNotFound
	}
	head, body := b[4:4+binary.BigEndian.Uint32(b)], b[4+binary.BigEndian.Uint32(b):]
	if err := json.Unmarshal(head, &e, json.RejectUnknownMembers(true)); err != nil || !k.o.Clock.Now().Before(e.Expires) {
		return entry{}, nil, ErrNotFound
	}
	return e, body, nil
}

// block is the part of an address that counts as one client.
func block(a netip.Addr) string {
	if a = a.Unmap().WithZone(""); a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}
