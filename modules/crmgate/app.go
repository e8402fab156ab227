// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package crmgate is the Caddy app: one account's configuration, its compiled
// policy, its stores, and what the gate, the transport, the admin API and the
// command line ask of them.
package crmgate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/quota"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy/resource"
)

func init() {
	caddy.RegisterModule((*App)(nil))
}

// App guards one account's CRM.
//
// Provisioning reads and checks every file and touches nothing else; starting
// opens the stores. Until they are open every request is refused with 503. A
// reload that fails at any point leaves the running configuration as it was, and
// a reload that succeeds keeps the stores open, so that no session is lost.
type App struct {
	Config

	logger    *zap.Logger
	state     state.Opener
	records   records.Opener
	identity  []signin.PasswordProvider
	redirects []signin.RedirectProvider
	providers map[string]any // both kinds, by name
	resources *resource.Map
	engine    *network.Engine
	sources   *network.Sources
	watcher   *policyFile
	portal    *portal.Portal
	logins    *crmLogins // with bridge credentials
	endings   crmEndings // with bridge adopt
	sso       *sso.Handler
	grants    *sso.Grants
	post      post // how mail and text messages go out
	doors     atomic.Pointer[doors]
	forbidden *Forbidden
	pairNames [2]pairName

	snapshot atomic.Pointer[Snapshot]
	runtime  atomic.Pointer[runtime]
	poolKey  string // "" until a reference to the runtime is held
	keyless  bool   // the policy was compiled before there was a key
	stop     context.CancelFunc
	inForce  bool                // this one's rules hold, or did
	prior    atomic.Pointer[App] // whose rules held before, until it is clear that they do no more
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate", New: func() caddy.Module { return new(App) }}
}

// FromContext returns the configured app, for the handlers that need it.
func FromContext(ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured("crmgate")
	if err != nil {
		if errors.Is(err, caddy.ErrNotConfigured) {
			return nil, fmt.Errorf("finding the crmgate app: %w; add a crmgate block to the global options", err)
		}
		return nil, fmt.Errorf("finding the crmgate app: %w", err)
	}
	return app.(*App), nil //nolint:forcetypeassert // the id is ours
}

// Provision reads and checks everything the configuration names.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if err := a.defaults(); err != nil {
		return err
	}
	if err := a.loadGuests(ctx); err != nil {
		return err
	}
	if err := a.checkSignIn(); err != nil {
		return err
	}
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if err := a.loadMap(); err != nil {
		return err
	}
	if err := a.loadNetwork(); err != nil {
		return err
	}
	if err := a.loadPolicy(); err != nil {
		return err
	}
	if err := a.checkBridges(); err != nil {
		return err
	}
	if _, err := quota.New(a.quotaConfig(nil)); err != nil {
		return fmt.Errorf("reading quota: %w", err)
	}
	if err := a.setUpPost(); err != nil {
		return err
	}
	if err := a.setUpSSO(); err != nil {
		return err
	}
	a.portal = portal.New(a.portalOptions())
	// On a reload the stores are open already: take part in them at once, so that
	// no request falls between two configurations.
	if _, open := pool.References(a.runtimeKey()); open {
		return a.acquire()
	}
	return a.checkFolder()
}

// portalOptions says what the portal can offer with this configuration.
func (a *App) portalOptions() portal.Options {
	b := (*backend)(a)
	o := portal.Options{
		Backend: b, Account: a.Account, Title: a.Title, Health: a.health, Log: slogFrom(a.logger),
		Entry: b, Steps: b, Factors: b, Kept: b,
	}
	if a.providers["local"] != nil {
		o.Passwords = b
	}
	if a.sso != nil {
		o.SSO = a.sso
	}
	return o
}

// defaults fills in what was left out and resolves secrets.
func (a *App) defaults() error {
	if a.Account == "" {
		a.Account = "default"
	}
	if !validName(a.Account) {
		return fmt.Errorf("reading account: %q is not 1 to 64 letters, digits, - and _", a.Account)
	}
	if a.Key != "" && !isReference(a.Key) {
		return errors.New("reading key: the key stands in the configuration; put it into the environment and write {env.NAME}, or into a file and write {file./path}")
	}
	if a.Node == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("finding this machine's name: %w; set node", err)
		}
		a.Node = host
	}
	if a.Data == "" {
		a.Data = filepath.Join(caddy.AppDataDir(), "crmgate", a.Account)
	}
	if a.Map == "" {
		return errors.New("reading map: no resource map is named; add `map leadsquared` or `map <file>`")
	}
	if a.Title == "" {
		a.Title = "CRM"
	}
	return nil
}

// isReference says whether a secret is only referred to: the configuration can be
// read back through the admin API.
func isReference(s string) bool {
	return len(s) > 2 && s[0] == '{' && strings.IndexByte(s, '}') == len(s)-1
}

// validName accepts names that can stand in keys, file names and metrics.
func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// loadGuests loads the store and identity modules.
func (a *App) loadGuests(ctx caddy.Context) error {
	if a.StateRaw == nil {
		a.StateRaw = []byte(`{"store":"embedded"}`)
	}
	if a.RecordsRaw == nil {
		a.RecordsRaw = []byte(`{"store":"sqlite"}`)
	}
	if a.IdentityRaw == nil {
		a.IdentityRaw = append(a.IdentityRaw, []byte(`{"provider":"local"}`))
	}
	st, err := ctx.LoadModule(a, "StateRaw")
	if err != nil {
		return fmt.Errorf("loading the state store: %w", err)
	}
	rec, err := ctx.LoadModule(a, "RecordsRaw")
	if err != nil {
		return fmt.Errorf("loading the records store: %w", err)
	}
	ids, err := ctx.LoadModule(a, "IdentityRaw")
	if err != nil {
		return fmt.Errorf("loading identity providers: %w", err)
	}
	var ok bool
	if a.state, ok = st.(state.Opener); !ok {
		return errors.New("loading the state store: the module is no state store")
	}
	if a.records, ok = rec.(records.Opener); !ok {
		return errors.New("loading the records store: the module is no records store")
	}
	for _, id := range ids.([]any) { //nolint:forcetypeassert // Caddy's contract for a slice of raw messages
		if err := a.takeProvider(id); err != nil {
			return err
		}
	}
	return nil
}

// Start opens the stores, unless a running configuration has them open, and
// begins to watch the files.
func (a *App) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	if a.runtime.Load() == nil {
		if err := a.acquire(); err != nil {
			cancel()
			return err
		}
	}
	if err := a.compileAgain(); err != nil {
		cancel()
		return err
	}
	if err := a.continues(); err != nil {
		cancel()
		return err
	}
	a.stop = cancel
	if err := a.applyQuota(); err != nil {
		cancel()
		return err
	}
	a.applySettings()
	a.recordRevision(ctx)
	go a.watcher.run(ctx)
	go a.sources.Run(ctx)
	go a.observe(ctx)
	if a.grants != nil {
		go a.grants.Run(ctx)
	}
	a.takeOver()
	return nil
}

// Stop ends what Start began; the stores stay open until Cleanup, since requests
// may still be draining.
func (a *App) Stop() error {
	if a.stop != nil {
		a.stop()
	}
	a.handOver()
	return nil
}

// Cleanup gives back the stores, if they were acquired; the last configuration
// to do so closes them.
func (a *App) Cleanup() error {
	if a.poolKey == "" {
		return nil
	}
	key := a.poolKey
	a.poolKey = ""
	if _, err := pool.Delete(key); err != nil {
		return fmt.Errorf("closing the stores: %w", err)
	}
	return nil
}

// Metrics returns the gate's counters.
func (*App) Metrics() *Metrics { return metrics }

// Portal returns the gate's own pages.
func (a *App) Portal() *portal.Portal { return a.portal }

// Forbidden returns the names clients may not bring along.
func (a *App) Forbidden() *Forbidden { return a.forbidden }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
