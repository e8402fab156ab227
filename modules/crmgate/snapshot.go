// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/watchfile"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/resource"
)

// Snapshot is everything a decision depends on, compiled and immutable. A request
// takes one at its start and keeps it to the end; a new one is swapped in whole
// or not at all.
type Snapshot struct {
	Map    *resource.Map
	Policy *policy.Set
	Source []byte // the policy as written
	engine *network.Engine

	breached *password.Breached
}

// Network judges an address before the person is known.
func (s *Snapshot) Network(c network.Client) network.Verdict { return s.engine.Check(c) }

// NetworkPerson judges an address by the lists of a person and of his role.
func (s *Snapshot) NetworkPerson(c network.Client) network.Verdict { return s.engine.CheckPerson(c) }

// Snapshot returns what decisions are made by at the moment, or nil until the
// stores are open.
func (a *App) Snapshot() *Snapshot {
	if a.runtime.Load() == nil {
		return nil
	}
	return a.snapshot.Load()
}

// ListsOver names the allow-lists that hold any of the prefixes.
func (a *App) ListsOver(prefixes []netip.Prefix) []string {
	if r := a.engine.Rules(); r != nil {
		return r.Overlaps(prefixes)
	}
	return nil
}

// loadMap reads the resource map: a built-in one by its name, or a file.
func (a *App) loadMap() error {
	name := a.Map + ".yaml"
	data, err := maps.Source(a.Map)
	if err != nil {
		name = a.Map
		if data, err = os.ReadFile(a.Map); err != nil {
			return fmt.Errorf("reading map: %q is no built-in map (%s) and cannot be read as a file: %w", a.Map, strings.Join(maps.Names(), ", "), err)
		}
	}
	if a.resources, err = resource.Parse(name, data); err != nil {
		return fmt.Errorf("parsing map: %w", err)
	}
	return nil
}

// loadNetwork opens the files about addresses.
func (a *App) loadNetwork() error {
	c := network.SourcesConfig{Report: func(err error) { a.reported("network", err) }}
	if a.Network != nil {
		c.AnonymousIP, c.TorExits = a.Network.AnonymousIP, a.Network.TorExits
		c.Every = time.Duration(a.Network.Interval)
		if c.Every != 0 && c.Every < 100*time.Millisecond {
			return fmt.Errorf("reading network: an interval of %s is below 100ms", c.Every)
		}
	}
	a.engine = new(network.Engine)
	c.Swapped = a.engine.SetReputation
	src, err := network.OpenSources(c)
	if err != nil {
		return fmt.Errorf("reading network files: %w", err)
	}
	a.sources = src
	good("network")
	a.engine.SetReputation(src.Reputation())
	return nil
}

// compiled is a policy file that was read, checked and compiled.
type compiled struct {
	source []byte
	doc    *policy.Document
	set    *policy.Set
	rules  *network.Rules

	breached *password.Breached // nil: none
}

// policyFile watches the policy; without one the defaults hold for good.
type policyFile struct {
	file *watchfile.File[*compiled]
}

func (p *policyFile) run(ctx context.Context) {
	if p.file != nil {
		p.file.Run(ctx)
	}
}

// maxPolicy bounds a policy file, in bytes.
const maxPolicy = 4 << 20

// loadPolicy reads the policy and keeps an eye on it.
func (a *App) loadPolicy() error {
	a.watcher = new(policyFile)
	if a.Policy == "" {
		c, err := a.compile("built-in policy", nil)
		if err != nil {
			return err
		}
		a.install(c)
		return nil
	}
	f, err := watchfile.Open(a.Policy, func(data []byte) (*compiled, error) { return a.compile(a.Policy, data) },
		watchfile.Options[*compiled]{
			MaxBytes: maxPolicy,
			Accept:   func(was, is *compiled) error { return is.doc.Continues(was.doc) },
			Report:   func(err error) { a.reported("policy", err) },
			Swapped:  a.swapped,
		})
	if err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	a.watcher.file = f
	a.install(f.Current())
	return nil
}

// compile turns a policy's source into what decisions need.
func (a *App) compile(name string, source []byte) (*compiled, error) {
	doc, err := policy.Parse(name, source)
	if err != nil {
		return nil, fmt.Errorf("parsing policy: %w", err)
	}
	key, err := a.maskKey()
	if err != nil {
		return nil, err
	}
	set, err := policy.Compile(doc, a.resources, key...)
	if err != nil {
		return nil, fmt.Errorf("compiling policy: %w", err)
	}
	if err := a.checkPolicy(set); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	breached, err := openBreached(name, set.Settings().Password.Breached)
	if err != nil {
		return nil, fmt.Errorf("%s: settings.password.breached: %w", name, err)
	}
	rules, err := network.NewRules(rulesConfig(set.Settings().Network))
	if err != nil {
		return nil, fmt.Errorf("compiling network rules: %w", err)
	}
	return &compiled{source: source, doc: doc, set: set, rules: rules, breached: breached}, nil
}

// openBreached opens the list of stolen passwords a policy names; a relative name
// is beside the policy.
func openBreached(policyFile, file string) (*password.Breached, error) {
	if file == "" {
		return nil, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(policyFile), file)
	}
	return password.OpenBreached(file)
}

// rulesConfig translates the policy's network settings.
func rulesConfig(n policy.Network) network.RulesConfig {
	c := network.RulesConfig{
		Account: n.Account.Allow, API: n.API.Allow, AllowListWins: n.AllowListWins,
		Roles: map[string][]netip.Prefix{}, Users: map[string][]netip.Prefix{},
		Reputation: map[network.Category]network.Action{
			network.Tor: network.Action(n.Reputation.Tor), network.AnonymousProxy: network.Action(n.Reputation.AnonymousProxy),
			network.Hosting: network.Action(n.Reputation.Hosting), network.VPN: network.Action(n.Reputation.VPN),
			network.ResidentialProxy: network.Action(n.Reputation.Residential),
			network.Anonymous:        network.Action(n.Reputation.AnonymousProxy), // an entry that does not say which kind
		},
	}
	for id, l := range n.Roles {
		c.Roles[id] = l.Allow
	}
	for email, l := range n.Users {
		c.Users[email] = l.Allow
	}
	return c
}

// good marks a watched file as accepted.
func good(file string) { metrics.reloads.WithLabelValues(file).Set(1) }

// install makes a compiled policy the one decisions are made by.
func (a *App) install(c *compiled) {
	a.engine.SetRules(c.rules)
	a.snapshot.Store(&Snapshot{Map: a.resources, Policy: c.set, Source: c.source, engine: a.engine, breached: c.breached})
}

// continues refuses, on a reload, a policy file that lost the end it had while the
// gateway before this one ran by it: what the watcher refuses, no reload brings in.
func (a *App) continues() error {
	was := a.runtime.Load().inForce.Load()
	if was == nil || was.watcher.file == nil || a.watcher.file == nil || was.Policy != a.Policy {
		return nil
	}
	if err := a.watcher.file.Current().doc.Continues(was.watcher.file.Current().doc); err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	return nil
}

// swapped installs a policy that replaced a running one. Streams and sockets that
// were opened under the old one end: nobody re-judges what they carry.
func (a *App) swapped(c *compiled) {
	a.install(c)
	a.applySettings()
	good("policy")
	a.recordRevision(context.Background())
	if rt := a.runtime.Load(); rt != nil {
		rt.sessions.CloseEndless("the policy changed")
	}
	a.logger.Info("policy replaced", zap.String("digest", c.set.Digest()))
}

// takeOver makes this configuration's rules the ones in force.
func (a *App) takeOver() {
	a.inForce = true
	if a.watcher.file != nil {
		good("policy")
	}
	a.prior.Store(a.runtime.Load().inForce.Swap(a))
}

// handOver is called when this configuration ends. Where another one has taken over
// that judges differently, streams and sockets end as they do when the policy changes;
// where this one could not begin to serve, the rules of the one before it hold again.
func (a *App) handOver() {
	if !a.inForce {
		return
	}
	rt := a.runtime.Load()
	if rt.inForce.CompareAndSwap(a, a.prior.Load()) {
		return
	}
	if next := rt.inForce.Load(); next != nil {
		next.prior.CompareAndSwap(a, nil)
	}
	if a.Superseded(a.snapshot.Load()) {
		rt.sessions.CloseEndless("the policy changed")
	}
}

// Superseded says whether other rules hold by now than those of a snapshot: what was
// decided by it may be answered, and must not go on for long.
func (a *App) Superseded(s *Snapshot) bool {
	app := a.runtime.Load().inForce.Load()
	if app == nil {
		return false
	}
	now := app.snapshot.Load()
	return now.Policy.Digest() != s.Policy.Digest() || now.Map.Digest != s.Map.Digest
}

// reported says once that a watched file is bad, and once that it is good again.
func (a *App) reported(file string, err error) {
	if err != nil {
		metrics.reloads.WithLabelValues(file).Set(0)
		a.logger.Error("a watched file was refused; the last good one stays in force", zap.String("file", file), zap.Error(err))
		return
	}
	good(file)
	a.logger.Info("a watched file is good again", zap.String("file", file))
}

// observe keeps the gauges true.
func (a *App) observe(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		a.gauges()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// gauges sets the gauges.
func (a *App) gauges() {
	for _, s := range a.sources.Status() {
		metrics.age.WithLabelValues(s.Path).Set(s.Age.Seconds())
	}
	if a.watcher.file != nil {
		metrics.age.WithLabelValues("policy").Set(a.watcher.file.Status().Age.Seconds())
	}
	if rt := a.runtime.Load(); rt != nil {
		rt.gauges()
	}
}

// errNotOpen is what everything that needs a store says before it is open.
var errNotOpen = errors.New("crmgate: the stores are not open yet")
