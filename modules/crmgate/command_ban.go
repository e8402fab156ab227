// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func init() {
	command("ban", "Lists and lifts bans of those who guessed too often",
		"Accounts, addresses and pairs of both that have to wait after failed sign-ins.\nBans end by themselves, after 15 minutes at most unless the policy says otherwise.",
		nil, banList, banLift)
}

func banList() *cobra.Command {
	c := online(&cobra.Command{Use: "list", Short: "Lists the bans in force", Args: cobra.NoArgs})
	c.RunE = func(c *cobra.Command, _ []string) error {
		var bans []banOutput
		if err := call(c, http.MethodGet, "/bans", nil, &bans); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "ID\tKIND\tSUBJECT\tUNTIL\tCOUNT", func(row func(...any)) {
			for _, b := range bans {
				row(b.ID, b.Kind, b.Subject, b.Until.UTC().Format(time.RFC3339), b.Count)
			}
		})
	}
	return c
}

func banLift() *cobra.Command {
	c := online(&cobra.Command{Use: "lift <ban id>", Short: "Lifts a ban by its id, as `ban list` shows it", Args: cobra.ExactArgs(1)})
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := call(c, http.MethodDelete, "/bans/"+args[0], nil, nil); err != nil {
			return printed(err)
		}
		fmt.Fprintln(c.OutOrStdout(), "lifted")
		return nil
	}
	return c
}
