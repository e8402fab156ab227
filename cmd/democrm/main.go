// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Command democrm serves the demo CRM, a trusting upstream to put behind the
// gateway. Its people and keys are made up and known to everybody: never let
// it listen where others can reach it, and never put real records into it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/cmd/internal/democrm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "democrm:", err)
		stop()
		os.Exit(1)
	}
}

// start is what --json prints: one line, before the first call is served.
type start struct {
	URL    string         `json:"url"`
	APIKey string         `json:"api_key"`
	Users  []democrm.User `json:"users"`
}

// run serves until ctx ends. Its own errors are settings that cannot be used
// and an address that cannot be listened on.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("democrm", flag.ContinueOnError)
	flags.SetOutput(out)
	listen := flags.String("listen", "127.0.0.1:9001", "`address` to listen on")
	leads := flags.Int("leads", 10000, "`number` of leads to seed, 1 to 1000000")
	asJSON := flags.Bool("json", false, "print the address, the people and their keys as one line of JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	crm, err := democrm.New(democrm.Config{Leads: *leads})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if err := announce(out, crm, "http://"+l.Addr().String(), *asJSON); err != nil {
		l.Close()
		return fmt.Errorf("printing the people: %w", err)
	}
	server := &http.Server{
		Handler:           crm.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if server.Shutdown(end) != nil {
		return server.Close()
	}
	return nil
}

func announce(out io.Writer, crm *democrm.CRM, url string, asJSON bool) error {
	if asJSON {
		line, err := json.Marshal(start{url, crm.APIKey(), crm.Users()})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", line)
		return err
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "Demo CRM at %s (made-up records, keys known to everybody)\n\n", url)
	fmt.Fprintln(t, "ROLE\tPERSON\tACCESS KEY\tSECRET KEY")
	for _, u := range crm.Users() {
		note := ""
		if !u.Active {
			note = " (deactivated)"
		}
		fmt.Fprintf(t, "%s\t%s%s\t%s\t%s\n", u.Role, u.Email, note, u.AccessKey, u.SecretKey)
	}
	return t.Flush()
}
