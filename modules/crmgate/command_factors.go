// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// userPath is a person's path in the admin API.
func userPath(email, rest string) string { return "/people/" + url.PathEscape(email) + rest }

func userFactors() *cobra.Command {
	c := online(&cobra.Command{Use: "factors <email>", Short: "Lists a person's second factors, or takes them all away", Args: cobra.ExactArgs(1)})
	reset := c.Flags().Bool("reset", false, "take all factors and trusted devices away and end the sessions: for a lost phone")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *reset {
			if err := call(c, http.MethodDelete, userPath(args[0], "/factors"), nil, nil); err != nil {
				return printed(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s has no second factor any more\n", args[0])
			return nil
		}
		var out factorsOutput
		if err := call(c, http.MethodGet, userPath(args[0], "/factors"), nil, &out); err != nil {
			return printed(err)
		}
		w := c.OutOrStdout()
		fmt.Fprintf(w, "second factor: %s; recovery codes left: %d\n", out.Mandate, out.RecoveryLeft)
		if out.Phone != "" {
			fmt.Fprintf(w, "number for text messages: %s\n", plain(out.Phone))
		}
		return table(w, "ID\tKIND\tLABEL\tADDED\tUSED", func(row func(...any)) {
			for _, f := range out.Factors {
				row(f.ID, f.Kind, f.Label, shown(f.Added), shown(f.Used))
			}
		})
	}
	return c
}

func shown(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func userDevices() *cobra.Command {
	c := online(&cobra.Command{Use: "devices <email>", Short: "Lists a person's trusted devices, or ends the trust in them", Args: cobra.ExactArgs(1)})
	revoke := c.Flags().String("revoke", "", "end the trust in this device, or in all")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *revoke != "" {
			path := userPath(args[0], "/devices")
			if *revoke != "all" {
				path += "/" + url.PathEscape(*revoke)
			}
			if err := call(c, http.MethodDelete, path, nil, nil); err != nil {
				return printed(err)
			}
			fmt.Fprintln(c.OutOrStdout(), "revoked")
			return nil
		}
		var out []deviceOutput
		if err := call(c, http.MethodGet, userPath(args[0], "/devices"), nil, &out); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "ID\tLABEL\tBROWSER\tIP\tGRANTED\tEXPIRES", func(row func(...any)) {
			for _, d := range out {
				row(d.ID, d.Label, d.Agent, d.IP, shown(d.Granted), shown(d.Expires))
			}
		})
	}
	return c
}

func userPhone() *cobra.Command {
	c := online(&cobra.Command{
		Use: "phone <email> [<number>]", Short: "Sets the number a person's text messages go to, such as +4915112345678; without one takes it away",
		Args: cobra.RangeArgs(1, 2),
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		number := ""
		if len(args) == 2 {
			number = args[1]
		}
		if err := call(c, http.MethodPut, userPath(args[0], "/phone"), map[string]string{"number": number}, nil); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "number of %s set\n", args[0])
		return nil
	}
	return c
}

func userImport() *cobra.Command {
	c := online(&cobra.Command{
		Use: "import", Short: "Imports password hashes of people who exist: an e-mail address and a hash ($2y$..., $argon2id$..., ...) a line, from standard input",
		Args: cobra.NoArgs,
	})
	must := c.Flags().Bool("must-change", false, "make them change the password at the next sign-in")
	c.RunE = func(c *cobra.Command, _ []string) error {
		in, line, good := bufio.NewScanner(c.InOrStdin()), 0, 0
		var first error
		for in.Scan() {
			line++
			email, hash, ok := strings.Cut(strings.TrimSpace(in.Text()), " ")
			if email == "" || strings.HasPrefix(email, "#") {
				continue
			}
			err := fmt.Errorf("it is no e-mail address and hash")
			if ok {
				err = call(c, http.MethodPut, userPath(email, "/password-hash"), map[string]any{"hash": strings.TrimSpace(hash), "must_change": *must}, nil)
			}
			if err = printed(err); err == nil {
				good++
				continue
			}
			err = fmt.Errorf("line %d: %w", line, err)
			fmt.Fprintln(c.ErrOrStderr(), err)
			if first == nil {
				first = err
			}
		}
		fmt.Fprintf(c.OutOrStdout(), "%d hashes imported\n", good)
		if err := in.Err(); err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		return first
	}
	return c
}
