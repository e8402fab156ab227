// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/assertion"
	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/quota"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// pool holds the open stores by what they are, not by how they are configured, so
// that a reload keeps them and every session in them.
var pool = caddy.NewUsagePool()

// runtime is what is open while a gateway runs.
type runtime struct {
	data, key string // where and what, see checkFolder

	state     state.Store
	records   records.Store
	vault     *vault.Vault
	directory *directory.Directory
	ownersOf  func(email string) []string // directory's
	sessions  *session.Manager
	audit     *audit.Writer
	passwords *password.Hasher
	attempts  *attempts.Throttle // signing in
	crmTries  *attempts.Throttle // signing in to the CRM, with bridge adopt
	// proving a second factor
	factorTries *attempts.Throttle
	ended       atomic.Pointer[onEnd] // who is told that sessions have ended
	signer      *assertion.Signer
	keys        *keyRing
	quota       atomic.Pointer[quota.Quota]
	inForce     atomic.Pointer[App] // whose rules hold: the last one started
	stop        context.CancelFunc
}

// runtimeKey names the resources of this configuration, without secrets.
func (a *App) runtimeKey() string {
	return strings.Join([]string{a.Account, a.Node, a.Data, a.Key, a.state.StateKey(), a.records.RecordsKey()}, "\x00")
}

// errResources is returned on a reload that wants other resources in a data folder
// that is in use: two sets of stores must never write to the same files.
var errResources = errors.New("account, node, key, state and records cannot change while the data folder is in use; restart the gateway")

// checkFolder refuses to open other resources in a folder that is in use.
func (a *App) checkFolder() error {
	var err error
	pool.Range(func(_, value any) bool {
		if rt, ok := value.(*runtime); ok && rt.data == a.Data && rt.key != a.runtimeKey() {
			err = errResources
		}
		return err == nil
	})
	return err
}

// acquire takes part in the open stores, opening them when nobody has.
func (a *App) acquire() error {
	if err := a.checkFolder(); err != nil {
		return err
	}
	key := a.runtimeKey()
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return a.open() })
	if err != nil {
		return err
	}
	a.poolKey = key
	rt := value.(*runtime) //nolint:forcetypeassert // the pool is ours
	if err := a.hang(rt); err != nil {
		return err
	}
	a.runtime.Store(rt)
	return nil
}

// open opens everything, or nothing.
func (a *App) open() (_ *runtime, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	rt := &runtime{stop: cancel, data: a.Data, key: a.runtimeKey()}
	defer func() {
		if err != nil {
			_ = rt.Destruct()
		}
	}()
	if err := prepareFolder(a.Data); err != nil {
		return nil, err
	}
	if rt.vault, err = a.openVault(); err != nil {
		return nil, err
	}
	clk := a.clock()
	if rt.records, err = a.records.OpenRecords(ctx, records.Where{Account: a.Account, Data: a.Data}); err != nil {
		return nil, err
	}
	if rt.state, err = a.state.OpenState(ctx, state.Where{Account: a.Account, Data: a.Data, Clock: clk}); err != nil {
		return nil, err
	}
	if rt.passwords, err = password.New(password.Options{}); err != nil {
		return nil, err
	}
	return rt, a.begin(ctx, rt, clk)
}

// auditInterval is how long records wait for others of their transaction: what a
// killed gateway loses at most, and what makes a row cheap.
const auditInterval = 50 * time.Millisecond

// begin starts what runs in the background.
func (a *App) begin(ctx context.Context, rt *runtime, clk clock.Clock) error {
	var err error
	if rt.directory, err = directory.Open(ctx, directory.Options{Records: rt.records, State: rt.state, Clock: clk, Log: slogFrom(a.logger.Named("directory"))}); err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	rt.ownersOf = rt.directory.OwnersOf
	rt.keys = &keyRing{records: rt.records, vault: rt.vault, directory: rt.directory}
	set := a.snapshot.Load().Policy.Settings()
	if rt.sessions, err = session.New(session.Options{
		Store: rt.state, Clock: clk, BestEffort: a.Session != nil && a.Session.Unavailable == "best_effort",
		MaxPerPerson: set.SignIn.MaxSessions, Logger: a.warn("sessions"), GroupsOf: rt.groupsOf, Ended: rt.sessionsEnded,
	}); err != nil {
		return err
	}
	if err := rt.sessions.Start(ctx); err != nil {
		return fmt.Errorf("reading sessions: %w", err)
	}
	th := set.Throttle
	limit := attempts.Limit{Failures: th.Failures, Within: th.Within.D()}
	for name, dst := range map[string]**attempts.Throttle{
		"sign_in": &rt.attempts, "crm_sign_in": &rt.crmTries, "second_factor": &rt.factorTries,
	} {
		if *dst, err = attempts.New(rt.state, attempts.Options{
			Name: name, Account: limit, Pair: limit, FirstBan: th.Wait.D(), MaxBan: th.MaxWait.D(), Clock: clk,
		}); err != nil {
			return err
		}
	}
	if rt.signer, err = assertion.Open(ctx, assertion.Options{
		Records: rt.records, Vault: rt.vault, Issuer: "crmgate/" + a.Account, Clock: clk, Lifetime: a.tokenLifetime(),
		Log: slogFrom(a.logger.Named("assertion")),
	}); err != nil {
		return fmt.Errorf("reading the signing key: %w", err)
	}
	spool := int64(audit.DefaultSpool)
	if a.Config.Audit != nil && a.Config.Audit.Spool > 0 {
		spool = a.Config.Audit.Spool
	}
	if rt.audit, err = audit.Open(ctx, audit.Options{
		Store: rt.records, Chain: a.Node, Clock: clk, Interval: auditInterval, Log: slogFrom(a.logger.Named("audit")),
		Spool: filepath.Join(a.Data, "audit-spool.jsonl"), SpoolBytes: spool,
	}); err != nil {
		return fmt.Errorf("opening the audit: %w", err)
	}
	return nil
}

// throttles are what slows down guessing, by what is guessed at.
func (rt *runtime) throttles() map[string]*attempts.Throttle {
	return map[string]*attempts.Throttle{"sign_in": rt.attempts, "crm_sign_in": rt.crmTries, "second_factor": rt.factorTries}
}

// quotaConfig translates the quotas; where the state is shared, so are the counts.
func (a *App) quotaConfig(st state.Store) quota.Config {
	c := quota.Config{Prefix: "{" + a.Account + "}:quota:"}
	if shared, ok := st.(interface{ Client() redis.UniversalClient }); ok {
		c.Redis = shared.Client()
	}
	if q := a.Quota; q != nil {
		for _, r := range q.Calls {
			c.Calls = append(c.Calls, quota.Rule{Calls: r.Calls, Per: time.Duration(r.Per)})
		}
		for _, r := range q.Bulk {
			c.Bulk = append(c.Bulk, quota.Rule{Calls: r.Calls, Per: time.Duration(r.Per)})
		}
	}
	return c
}

// prepareFolder makes the data folder and proves that it can be written.
func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("preparing the data folder: %w; choose another with data", err)
	}
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("writing to the data folder %s: %w; choose another with data, or give this user the right to write", dir, err)
	}
	_ = probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return fmt.Errorf("writing to the data folder %s: %w", dir, err)
	}
	return nil
}

// openVault takes the key from the configuration, or from the data folder.
func (a *App) openVault() (*vault.Vault, error) {
	if a.Key == "" {
		v, err := vault.LoadOrCreate(filepath.Join(a.Data, "vault.key"))
		if err != nil {
			return nil, fmt.Errorf("reading the key file: %w", err)
		}
		return v, nil
	}
	value, err := caddy.NewReplacer().ReplaceOrErr(a.Key, true, true)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	v, err := vault.Parse("key", value)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	return v, nil
}

// gauges sets the gauges of what is open.
func (rt *runtime) gauges() {
	metrics.sessions.Set(float64(len(rt.sessions.All(maxListed))))
	metrics.live.Set(float64(rt.sessions.Live()))
	s := rt.audit.Stats()
	for state, n := range map[string]float64{
		"queued": float64(s.Queued), "written": float64(s.Written), "spooled": float64(s.Spooled), "failed": float64(s.Failed),
		"pending": float64(s.Pending), "in_spool": float64(s.InSpool),
	} {
		metrics.auditRows.WithLabelValues(state).Set(n)
	}
}

// Destruct closes what is open, newest first; the last configuration that used it
// has gone.
func (rt *runtime) Destruct() error {
	var errs []error
	if rt.sessions != nil {
		rt.sessions.Stop()
	}
	if rt.audit != nil {
		errs = append(errs, rt.audit.Close())
	}
	if rt.signer != nil {
		rt.signer.Close()
	}
	if rt.directory != nil {
		rt.directory.Close()
	}
	if rt.stop != nil {
		rt.stop()
	}
	if rt.state != nil {
		errs = append(errs, rt.state.Close())
	}
	if rt.records != nil {
		errs = append(errs, rt.records.Close())
	}
	return errors.Join(errs...)
}

// warn reports what the background work meets.
func (a *App) warn(what string) func(string, error) {
	log := a.logger.Named(what)
	return func(msg string, err error) { log.Warn(msg, zap.Error(err)) }
}

func (*App) clock() clock.Clock { return clock.System{} }

func (a *App) tokenLifetime() time.Duration {
	if b := a.Config.Bridge; b != nil && b.JWT != nil && b.JWT.Lifetime > 0 {
		return time.Duration(b.JWT.Lifetime)
	}
	return time.Minute
}
