// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/keptpost"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/reset"
	"github.com/crmgate/crmgate/modules/internal/sealedform"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/policy"
)

// doors are the ways in: what proves people, over the open stores and by this
// configuration. They keep nothing themselves, so that those of two configurations
// can stand side by side during a reload.
type doors struct {
	factors *factor.Manager
	keeper  *password.Keeper
	forms   *sealedform.Forms
	resets  *reset.Links
	kept    *keptpost.Keeper
}

// hang makes the doors once the stores are open.
func (a *App) hang(rt *runtime) error {
	d := &doors{forms: sealedform.New(sealedform.Options{State: rt.state, Vault: rt.vault, Clock: a.clock()})}
	var err error
	d.factors, err = factor.New(factor.Options{
		Records: rt.records, State: rt.state, Vault: rt.vault, Name: a.Title, Origin: a.Origin,
		Mail: a.mailCode(), SMS: a.smsCode(), Settings: a.factorSettings, Throttle: rt.factorTries, Clock: a.clock(),
	})
	if err != nil {
		return err
	}
	d.keeper = password.NewKeeper(password.KeeperOptions{
		Records: rt.records, Hasher: rt.passwords, Policy: a.passwordPolicy, Clock: a.clock(), Changed: a.passwordChanged,
	})
	d.resets = reset.New(reset.Options{State: rt.state, Version: d.keeper.Version, Clock: a.clock()})
	d.kept = keptpost.New(keptpost.Options{State: rt.state, Vault: rt.vault, Clock: a.clock()})
	a.doors.Store(d)
	rt.ended.Store(&onEnd{app: a})
	return nil
}

// factorSettings is what the policy says about codes and devices.
func (a *App) factorSettings() factor.Settings {
	s := a.snapshot.Load().Policy.Settings().SignIn
	f, d := s.SecondFactor, s.TrustedDevice
	return factor.Settings{
		CodeLifetime: f.CodeLifetime.D(), ResendGap: f.ResendGap.D(), Tries: f.Tries,
		Device: factor.DeviceSettings{Days: d.Days, BindAgent: d.Bind.Agent, IPv4Prefix: d.Bind.IPv4Prefix, IPv6Prefix: d.Bind.IPv6Prefix},
	}
}

// factorKinds are the kinds of second factor that count: those the policy names,
// of those this gateway is set up for.
func (a *App) factorKinds() []string {
	want := a.snapshot.Load().Policy.Settings().SignIn.SecondFactor.Methods
	kinds := []string{factor.TOTP}
	if a.Origin != "" {
		kinds = append(kinds, factor.Passkey)
	}
	if a.Mail != nil {
		kinds = append(kinds, factor.Mail)
	}
	if a.SMS != nil {
		kinds = append(kinds, factor.SMS)
	}
	if len(want) == 0 {
		return kinds
	}
	return slices.DeleteFunc(kinds, func(k string) bool { return !slices.Contains(want, k) })
}

// checkPolicy holds what the policy says about signing in against what this
// gateway is set up for: a factor nobody can give would lock everybody out.
func (a *App) checkPolicy(set *policy.Set) error {
	s := set.Settings().SignIn
	for _, m := range s.SecondFactor.Methods {
		switch {
		case m == factor.Passkey && a.Origin == "":
			return fmt.Errorf("settings.sign_in.second_factor.methods names passkey: the Caddyfile's crmgate block has no origin")
		case m == factor.Mail && a.Mail == nil:
			return fmt.Errorf("settings.sign_in.second_factor.methods names mail: the Caddyfile's crmgate block has no mail")
		case m == factor.SMS && a.SMS == nil:
			return fmt.Errorf("settings.sign_in.second_factor.methods names sms: the Caddyfile's crmgate block has no sms")
		}
	}
	if s.Provider != "" && a.providers[s.Provider] == nil {
		return fmt.Errorf("settings.sign_in.provider: the Caddyfile's crmgate block has no identity provider called %q", s.Provider)
	}
	if len(s.BreakGlass) > 0 && a.providers["local"] == nil {
		return fmt.Errorf("settings.sign_in.break_glass: the Caddyfile's crmgate block has no `identity local` to sign in with")
	}
	return nil
}

// env is what providers may use.
func (a *App) env(rt *runtime) signin.Env {
	return signin.Env{
		Records: rt.records, State: rt.state, Directory: rt.directory, Passwords: rt.passwords, Vault: rt.vault,
		Clock: a.clock(), Random: rand.Reader, Log: slogFrom(a.logger.Named("identity")), Origin: a.Origin,
	}
}

// onEnd is who is told that sessions have ended.
type onEnd struct{ app *App }

// endTime bounds what is done when sessions have ended.
const endTime = 30 * time.Second

// sessionsEnded forgets what was kept for sessions that have ended, and signs
// their people out elsewhere.
func (rt *runtime) sessionsEnded(gone []*session.Session) {
	on := rt.ended.Load()
	if on == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	on.app.afterEnd(ctx, rt, gone)
}
