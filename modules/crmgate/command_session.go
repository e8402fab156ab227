// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/crmgate/crmgate/modules/internal/session"
)

func init() {
	command("lock", "Ends sessions at once and keeps people out of a running gateway",
		"Ends the sessions a lock matches, live sockets and streams included, on every\ngateway within a second, and refuses new ones while it holds.",
		lockSet, lockList)
	command("unlock", "Lifts a lock of a running gateway", "Lifts a lock by its id, as `lock list` shows it.", unlockOne)
	command("sessions", "Lists and ends sessions of a running gateway", "Lists and ends live sessions.",
		sessionsList, sessionsEnd)
}

// lockTargets are the flags that name a target.
var lockTargets = []string{"role", "group", "user", "session", "ip"}

func lockSet(c *cobra.Command) {
	online(c).Args = cobra.NoArgs
	everyone := c.Flags().Bool("everyone", false, "lock everyone")
	for _, t := range lockTargets {
		c.Flags().String(t, "", "lock this "+t)
	}
	message := c.Flags().String("message", "", "what the people locked out read")
	duration := c.Flags().String("for", "", "how long, such as 2h; 0 only ends sessions; default until lifted")
	exempt := c.Flags().StringSlice("except", nil, "e-mail addresses that stay in")
	c.RunE = func(c *cobra.Command, _ []string) error {
		in := lockInput{Message: *message, For: *duration, Exempt: *exempt}
		if *everyone {
			in.Target = string(session.Everyone)
		}
		for _, t := range lockTargets {
			if v, _ := c.Flags().GetString(t); v != "" {
				if in.Target != "" {
					return errors.New("a lock has one target")
				}
				in.Target, in.Value = t, v
			}
		}
		if in.Target == "" {
			return errors.New("who is to be locked? --everyone, --role, --group, --user, --session or --ip")
		}
		var out session.Lock
		if err := call(c, http.MethodPost, "/locks", in, &out); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "lock %s on %s\n", out.ID, out.Target)
		return nil
	}
}

func lockList() *cobra.Command {
	c := online(&cobra.Command{Use: "list", Short: "Lists the locks in force", Args: cobra.NoArgs})
	c.RunE = func(c *cobra.Command, _ []string) error {
		var locks []session.Lock
		if err := call(c, http.MethodGet, "/locks", nil, &locks); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "ID\tTARGET\tUNTIL\tMESSAGE", func(row func(...any)) {
			for _, l := range locks {
				until := "lifted"
				if !l.Until.IsZero() {
					until = l.Until.UTC().Format(time.RFC3339)
				}
				row(l.ID, l.Target, until, l.Message)
			}
		})
	}
	return c
}

func unlockOne(c *cobra.Command) {
	c.Use = "unlock <lock id>"
	online(c).Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := call(c, http.MethodDelete, "/locks/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return printed(err)
		}
		fmt.Fprintf(c.OutOrStdout(), "lock %s lifted\n", args[0])
		return nil
	}
}

func sessionsList(c *cobra.Command) {
	online(c).Args = cobra.NoArgs
	email := c.Flags().String("email", "", "only those of this person")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var list []sessionOutput
		if err := call(c, http.MethodGet, "/sessions?email="+url.QueryEscape(*email), nil, &list); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "ID\tEMAIL\tROLE\tSINCE\tLAST SEEN\tIP\tUSER AGENT", func(row func(...any)) {
			for _, s := range list {
				row(s.ID, s.Email, s.Role, s.Created.UTC().Format(time.RFC3339), s.LastSeen.UTC().Format(time.RFC3339), s.IP, s.UserAgent)
			}
		})
	}
}

func sessionsEnd() *cobra.Command {
	c := online(&cobra.Command{Use: "end [<session id>]", Short: "Ends one session, or all of a person", Args: cobra.MaximumNArgs(1)})
	email := c.Flags().String("email", "", "end all sessions of this person")
	c.RunE = func(c *cobra.Command, args []string) error {
		var err error
		switch {
		case len(args) == 1 && *email == "":
			err = call(c, http.MethodDelete, "/sessions/"+url.PathEscape(args[0]), nil, nil)
		case len(args) == 0 && *email != "":
			err = call(c, http.MethodPost, "/sessions/end", map[string]string{"email": *email}, nil)
		default:
			return errors.New("either a session id or --email")
		}
		if err != nil {
			return printed(err)
		}
		fmt.Fprintln(c.OutOrStdout(), "ended")
		return nil
	}
	return c
}
