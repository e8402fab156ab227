// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func init() {
	command("identity", "Lists and tests the identity providers of a running gateway",
		"A test asks a provider what a sign-in would, and signs nobody in.", nil, identityList, identityTest)
	command("mail", "Tests how a running gateway sends mail", "Sends a mail that says that sending works.", nil, sendTest("mail", "<address>"))
	command("sms", "Tests how a running gateway sends text messages", "Sends a text message that says that sending works.", nil, sendTest("sms", "<number>"))
}

func identityList() *cobra.Command {
	c := online(&cobra.Command{Use: "list", Short: "Lists the providers", Args: cobra.NoArgs})
	c.RunE = func(c *cobra.Command, _ []string) error {
		var list []providerOutput
		if err := call(c, http.MethodGet, "/identity", nil, &list); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "NAME\tKIND\tLABEL\tONLY", func(row func(...any)) {
			for _, p := range list {
				row(p.Name, p.Kind, p.Label, p.Only)
			}
		})
	}
	return c
}

// errTestFailed makes a test that found something end with another status.
var errTestFailed = errors.New("the test failed")

func identityTest() *cobra.Command {
	c := online(&cobra.Command{Use: "test <provider>", Short: "Asks a provider what a sign-in would", Args: cobra.ExactArgs(1)})
	email := c.Flags().String("email", "", "e-mail address to check a password for, with a provider that checks passwords; the password is read like that of user add")
	c.RunE = func(c *cobra.Command, args []string) error {
		in := map[string]string{}
		if *email != "" {
			pw, _, err := readPassword(c)
			if err != nil {
				return err
			}
			in["email"], in["password"] = *email, pw
		}
		var out testOutput
		if err := call(c, http.MethodPost, "/identity/"+url.PathEscape(args[0])+"/test", in, &out); err != nil {
			return printed(err)
		}
		w := c.OutOrStdout()
		for _, x := range out.Checks {
			word := "ok    "
			if !x.OK {
				word = "failed"
			}
			fmt.Fprintf(w, "%s  %-12s %s\n", word, plain(x.Name), plain(x.Detail))
		}
		if r := out.Report; r != nil {
			fmt.Fprintf(w, "%s %s: status %d, %s: %s\n", r.Method, plain(r.URL), r.Status, r.Decision, plain(r.Rule))
		}
		if !out.OK {
			if out.Error != "" {
				return fmt.Errorf("%w: %s", errTestFailed, out.Error)
			}
			return errTestFailed
		}
		fmt.Fprintln(w, "the provider can be used")
		return nil
	}
	return c
}

func sendTest(by, arg string) func() *cobra.Command {
	return func() *cobra.Command {
		c := online(&cobra.Command{Use: "test " + arg, Short: "Sends one message", Args: cobra.ExactArgs(1)})
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := call(c, http.MethodPost, "/"+by+"/test", map[string]string{"to": args[0]}, nil); err != nil {
				return printed(err)
			}
			fmt.Fprintln(c.OutOrStdout(), "sent")
			return nil
		}
		return c
	}
}
