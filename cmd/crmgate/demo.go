// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/crmgate/crmgate/caddyfiles"
	"github.com/crmgate/crmgate/cmd/internal/democrm"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "demo",
		Short: "Runs the demo: a CRM, the gateway in front of it, and five people",
		Long: `Starts the demo CRM and the gateway with the quickstart Caddyfile, prints where
it is and who can sign in, and stops everything on Ctrl-C. Without --data it
works in a fresh folder that is removed at the end.`,
		CobraFunc: func(c *cobra.Command) {
			d := &demo{}
			c.Args = cobra.NoArgs
			c.SilenceUsage = true
			f := c.Flags()
			f.StringVar(&d.listen, "listen", "127.0.0.1:8443", "where the gateway listens")
			f.StringVar(&d.crmListen, "crm-listen", "127.0.0.1:9001", "where the demo CRM listens")
			f.StringVar(&d.admin, "admin", "localhost:2019", "where the gateway's admin API listens")
			f.StringVar(&d.data, "data", "", "data folder (default a fresh one)")
			f.IntVar(&d.leads, "leads", 10000, "how many leads the demo CRM has")
			f.BoolVar(&d.json, "json", false, "print one JSON line when ready")
			c.RunE = func(c *cobra.Command, _ []string) error {
				ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				return d.run(ctx, c.OutOrStdout())
			}
		},
	})
}

// demo is one run of the demo.
type demo struct {
	listen, crmListen, admin, data string
	leads                          int
	json                           bool

	crm    *democrm.CRM
	people []demoPerson
}

// demoPerson is somebody who can sign in.
type demoPerson struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Role     string `json:"role"`
	Name     string `json:"-"`
	user     democrm.User
}

// ready is what --json prints.
type ready struct {
	Gateway string       `json:"gateway"`
	CRM     string       `json:"crm"`
	Admin   string       `json:"admin"`
	CA      string       `json:"ca"`
	People  []demoPerson `json:"people"`
}

// passwords of the demo's people: made to be typed, and good for nothing else.
var passwords = map[string]string{
	"admin@acme.test":     "granite-harbour-12",
	"manager@acme.test":   "lantern-orchard-34",
	"marketing@acme.test": "meadow-compass-56",
	"asha@acme.test":      "juniper-window-78",
	"ravi@acme.test":      "saffron-bridge-90",
}

// roles translates the CRM's role names.
var roles = map[string]string{
	"Administrator": "administrator", "Sales_Manager": "sales_manager",
	"Marketing_User": "marketing_user", "Sales_User": "sales_user",
}

func (d *demo) run(ctx context.Context, out io.Writer) error {
	if d.data == "" {
		dir, err := os.MkdirTemp("", "crmgate-demo-*")
		if err != nil {
			return fmt.Errorf("making a data folder: %w", err)
		}
		defer os.RemoveAll(dir)
		d.data = dir
	}
	data, err := filepath.Abs(d.data)
	if err != nil {
		return fmt.Errorf("finding the data folder: %w", err)
	}
	d.data = data
	stopCRM, err := d.startCRM()
	if err != nil {
		return err
	}
	defer stopCRM()
	if err := d.startGateway(); err != nil {
		return err
	}
	defer func() { _ = caddy.Stop() }()
	if err := d.addPeople(ctx); err != nil {
		return err
	}
	if err := d.announce(out); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// startCRM starts the demo CRM.
func (d *demo) startCRM() (stop func(), err error) {
	if d.crm, err = democrm.New(democrm.Config{Leads: d.leads}); err != nil {
		return nil, fmt.Errorf("making the demo CRM: %w", err)
	}
	l, err := net.Listen("tcp", d.crmListen)
	if err != nil {
		return nil, fmt.Errorf("starting the demo CRM: %w; choose another address with --crm-listen", err)
	}
	srv := &http.Server{Handler: d.crm.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }()
	return func() { _ = srv.Close() }, nil
}

// startGateway runs the quickstart Caddyfile.
func (d *demo) startGateway() error {
	host, port, err := net.SplitHostPort(d.listen)
	if err != nil {
		return fmt.Errorf("reading --listen: %w", err)
	}
	if err := free("--listen", d.listen); err != nil {
		return err
	}
	if err := free("--admin", d.admin); err != nil {
		return err
	}
	if err := os.MkdirAll(d.data, 0o700); err != nil {
		return fmt.Errorf("preparing the data folder: %w", err)
	}
	policy := filepath.Join(d.data, "policy.yaml")
	if _, err := os.Stat(policy); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policy, caddyfiles.QuickstartPolicy, 0o600); err != nil {
			return fmt.Errorf("writing the policy: %w", err)
		}
	}
	for name, value := range map[string]string{
		"CRMGATE_BIND": host, "CRMGATE_PORT": port, "CRMGATE_HOST": "localhost", "CRMGATE_ADMIN": d.admin,
		"CRMGATE_DATA": d.data, "CRMGATE_POLICY": policy, "CRM_ADDRESS": d.crmListen,
	} {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfiles.Quickstart, map[string]any{"filename": "quickstart.Caddyfile"})
	if err != nil {
		return fmt.Errorf("adapting the quickstart Caddyfile: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	return nil
}

// free refuses an address somebody listens on. Caddy shares ports with other
// processes, and then the demo's people, whose passwords everybody knows, could
// be added to another gateway.
func free(flag, address string) error {
	if strings.HasPrefix(address, "unix/") {
		return nil // a socket is taken by one alone
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("starting the gateway: %w; choose another address with %s", err, flag)
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	return nil
}

// addPeople makes the CRM's users people of the gateway, over the admin API like
// everybody else would.
func (d *demo) addPeople(ctx context.Context) error {
	var have []struct{ Email string }
	if err := d.ask(ctx, http.MethodGet, "/people", nil, &have); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range have {
		known[p.Email] = true
	}
	for _, u := range d.crm.Users() {
		pw, listed := passwords[u.Email]
		if !listed {
			continue
		}
		p := demoPerson{Email: u.Email, Password: pw, Role: roles[u.Role], Name: u.Name, user: u}
		d.people = append(d.people, p)
		if !known[u.Email] {
			if err := d.ask(ctx, http.MethodPost, "/people", map[string]any{
				"email": p.Email, "name": p.Name, "role": p.Role, "owner_ids": []string{u.ID}, "password": p.Password,
			}, nil); err != nil {
				return err
			}
		}
		if err := d.ask(ctx, http.MethodPut, "/people/"+p.Email+"/crm-key", map[string]any{
			"access_key": u.AccessKey, "secret_key": u.SecretKey,
		}, nil); err != nil {
			return err
		}
	}
	return nil
}

// ask asks the gateway's admin API.
func (d *demo) ask(_ context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("making a request: %w", err)
		}
		r, w := io.Pipe()
		go func() {
			_, err := w.Write(b)
			_ = w.CloseWithError(err)
		}()
		body = r
	}
	res, err := caddycmd.AdminAPIRequest(d.admin, method, "/crmgate"+path, nil, body)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway refused %s %s: %s", method, path, raw)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return nil
}

// announce says where everything is.
func (d *demo) announce(out io.Writer) error {
	_, port, _ := net.SplitHostPort(d.listen)
	r := ready{
		Gateway: "https://localhost:" + port, CRM: "http://" + d.crmListen, Admin: d.admin,
		CA: filepath.Join(d.data, "caddy", "pki", "authorities", "local", "root.crt"), People: d.people,
	}
	if d.json {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
		return nil
	}
	fmt.Fprintf(out, "\n  crmgate is in front of the demo CRM: %s\n", r.Gateway)
	fmt.Fprintf(out, "  (its certificate is of its own authority: %s)\n\n", r.CA)
	for _, p := range d.people {
		fmt.Fprintf(out, "  %-15s %-22s %s\n", p.Role, p.Email, p.Password)
	}
	address := ""
	if d.admin != caddy.DefaultAdminListen {
		address = " --address " + d.admin // commands look elsewhere by themselves
	}
	fmt.Fprintf(out, `
  Five things to try:
  1. Sign in as asha and open the lead Ishaan: the phone is masked, other people's leads are not there.
  2. Sign in as manager in another browser: every lead, every phone, no identity papers.
  3. As asha, open %[1]s/app/export/leads.csv: exports are refused.
  4. Lock the sales users out while asha looks: bin/crmgate lock --role sales_user --message "Back at nine" --for 1m%[4]s
  5. Ask why: bin/crmgate policy explain asha@acme.test "%[2]s"%[4]s

  Everything is in %[3]s. Ctrl-C stops it.

`, r.Gateway, "/app/api/leads", d.data, address)
	return nil
}
