// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func init() {
	command("user", "Manages the people of a running gateway",
		"Adds, lists and changes people. Passwords are read from the terminal or from\nstandard input, never from the command line.", nil,
		userAdd, userList, userPasswd, userStatus("deactivate", "inactive"), userStatus("activate", "active"), userKey, userCredentials,
		userFactors, userDevices, userPhone, userImport)
}

func userAdd() *cobra.Command {
	c := online(&cobra.Command{Use: "add <email>", Short: "Adds a person", Args: cobra.ExactArgs(1)})
	role := c.Flags().String("role", "", "role id, such as sales_user")
	name := c.Flags().String("name", "", "name")
	owners := c.Flags().StringSlice("owner-id", nil, "ids under which the CRM knows this person as owner")
	c.RunE = func(c *cobra.Command, args []string) error {
		pw, made, err := readPassword(c)
		if err != nil {
			return err
		}
		in := personInput{Email: args[0], Role: role, Name: name, Password: &pw}
		if len(*owners) > 0 {
			in.OwnerIDs = owners
		}
		var out personOutput
		if err := call(c, http.MethodPost, "/people", in, &out); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "added %s (%s)\n", out.Email, out.Role)
		if made {
			fmt.Fprintf(c.OutOrStdout(), "password: %s\n", pw)
		}
		return nil
	}
	return c
}

func userList() *cobra.Command {
	c := online(&cobra.Command{Use: "list", Short: "Lists everybody", Args: cobra.NoArgs})
	c.RunE = func(c *cobra.Command, _ []string) error {
		var people []personOutput
		if err := call(c, http.MethodGet, "/people", nil, &people); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "EMAIL\tNAME\tROLE\tSTATUS", func(row func(...any)) {
			for _, p := range people {
				row(p.Email, p.Name, p.Role, p.Status)
			}
		})
	}
	return c
}

func userPasswd() *cobra.Command {
	c := online(&cobra.Command{
		Use: "passwd <email>", Short: "Sets a password and ends the person's sessions", Args: cobra.ExactArgs(1),
	})
	must := c.Flags().Bool("must-change", false, "make the person change it at the next sign-in; default as the policy says")
	c.RunE = func(c *cobra.Command, args []string) error {
		pw, made, err := readPassword(c)
		if err != nil {
			return err
		}
		in := personInput{Password: &pw}
		if c.Flags().Changed("must-change") {
			in.MustChange = must
		}
		if err := call(c, http.MethodPatch, "/people/"+url.PathEscape(args[0]), in, new(personOutput)); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "password of %s set\n", args[0])
		if made {
			fmt.Fprintf(c.OutOrStdout(), "password: %s\n", pw)
		}
		return nil
	}
	return c
}

func userStatus(verb, status string) func() *cobra.Command {
	return func() *cobra.Command {
		c := online(&cobra.Command{Use: verb + " <email>", Short: "Makes a person " + status, Args: cobra.ExactArgs(1)})
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := call(c, http.MethodPatch, "/people/"+url.PathEscape(args[0]), personInput{Status: &status}, new(personOutput)); err != nil {
				return printed(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is %s\n", args[0], status)
			return nil
		}
		return c
	}
}

func userKey() *cobra.Command {
	c := online(&cobra.Command{
		Use: "key <email>", Short: "Stores a person's own CRM key pair: access key and secret key, a line each, from standard input",
		Args: cobra.ExactArgs(1),
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		lines, err := twoLines(c, "access key and secret key")
		if err != nil {
			return err
		}
		body := map[string]string{"access_key": lines[0], "secret_key": lines[1]}
		if err := call(c, http.MethodPut, "/people/"+url.PathEscape(args[0])+"/crm-key", body, nil); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "key pair of %s stored\n", args[0])
		return nil
	}
	return c
}

func userCredentials() *cobra.Command {
	c := online(&cobra.Command{
		Use: "credentials <email>", Short: "Stores what a person signs in to the CRM with, for bridge credentials: user name and password, a line each, from standard input",
		Args: cobra.ExactArgs(1),
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		lines, err := twoLines(c, "user name and password")
		if err != nil {
			return err
		}
		body := map[string]string{"user": lines[0], "password": lines[1]}
		if err := call(c, http.MethodPut, "/people/"+url.PathEscape(args[0])+"/crm-login", body, nil); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "credentials of %s stored\n", args[0])
		return nil
	}
	return c
}

// twoLines reads a secret that has two parts.
func twoLines(c *cobra.Command, what string) ([]string, error) {
	in := bufio.NewScanner(c.InOrStdin())
	var lines []string
	for in.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(in.Text(), "\ufeff")) // some editors begin a file so
		if line == "" && len(lines) >= 2 {
			continue
		}
		lines = append(lines, line)
	}
	if len(lines) != 2 || lines[0] == "" || lines[1] == "" {
		return nil, fmt.Errorf("reading standard input: it must hold two lines, %s", what)
	}
	return lines, nil
}

// readPassword asks for a password on a terminal, reads a line where standard
// input is something else, and makes one up where the answer is empty.
func readPassword(c *cobra.Command) (pw string, made bool, err error) {
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.ErrOrStderr(), "Password (empty: make one up): ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		if err != nil {
			return "", false, fmt.Errorf("reading the password: %w", err)
		}
		pw = string(b)
	} else {
		line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
		if err != nil && line == "" {
			return rand.Text(), true, nil
		}
		pw = strings.TrimRight(line, "\r\n")
	}
	if pw == "" {
		return rand.Text(), true, nil
	}
	return pw, false, nil
}
