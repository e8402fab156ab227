// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// command registers one command of ours. main makes the command itself do
// something; without it the command only has its sub-commands.
func command(name, short, long string, main func(*cobra.Command), sub ...func() *cobra.Command) {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name: name, Short: short, Long: long,
		CobraFunc: func(c *cobra.Command) {
			c.SilenceUsage = true
			for _, s := range sub {
				c.AddCommand(s())
			}
			if main != nil {
				main(c)
				return
			}
			c.RunE = func(c *cobra.Command, args []string) error {
				if len(args) > 0 {
					return fmt.Errorf("there is no %s %s", name, args[0])
				}
				return c.Help()
			}
		},
	})
}

// online adds the flag by which a command finds the running gateway.
func online(c *cobra.Command) *cobra.Command {
	c.Flags().String("address", "", "admin address of the running gateway (default localhost:2019)")
	c.Flags().Bool("json", false, "print the answer as JSON")
	c.SilenceUsage = true
	return c
}

// saidNo returns what the admin API said in an answer that Caddy's client made an
// error of: a line to read, not a document in a line.
func saidNo(err error) string {
	_, body, _ := strings.Cut(err.Error(), "caddy responded with error: HTTP ")
	_, body, _ = strings.Cut(body, ": ")
	var e struct{ Error string }
	if json.Unmarshal([]byte(body), &e) != nil {
		return ""
	}
	return e.Error
}

// call asks the running gateway and decodes the answer into out.
func call(c *cobra.Command, method, path string, in, out any) error {
	address, _ := c.Flags().GetString("address")
	address, err := caddycmd.DetermineAdminAPIAddress(address, nil, "", "")
	if err != nil {
		return fmt.Errorf("finding the gateway: %w", err)
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("making the request: %w", err)
		}
		body = bytes.NewReader(b)
	} else if method != http.MethodGet && method != http.MethodDelete {
		body = strings.NewReader("{}")
	}
	res, err := caddycmd.AdminAPIRequest(address, method, "/crmgate"+path, nil, body)
	if err != nil {
		if said := saidNo(err); said != "" {
			return fmt.Errorf("the gateway refused: %s", said)
		}
		return fmt.Errorf("asking the gateway at %s: %w", address, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("the gateway refused: %s", res.Status)
	}
	if w, ok := out.(io.Writer); ok {
		_, err := w.Write(raw)
		return err
	}
	if asJSON, _ := c.Flags().GetBool("json"); asJSON {
		_, err := c.OutOrStdout().Write(raw)
		if err != nil {
			return fmt.Errorf("printing: %w", err)
		}
		return errPrinted
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return nil
}

// errPrinted says that --json has printed the answer already.
var errPrinted = fmt.Errorf("printed")

// printed turns errPrinted into success.
func printed(err error) error {
	if err == errPrinted { //nolint:errorlint // made above, never wrapped
		return nil
	}
	return err
}

// table prints rows under headings.
func table(w io.Writer, head string, rows func(row func(cells ...any))) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, head)
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, plain(fmt.Sprint(c)))
		}
		fmt.Fprintln(tw)
	})
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// plain replaces control characters: what a client sent must not steer a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
