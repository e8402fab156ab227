// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crmgate/crmgate/modules/internal/watchfile"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/policytest"
	"github.com/crmgate/crmgate/policy/resource"
	"github.com/crmgate/crmgate/policy/resource/maptest"
)

func init() {
	command("policy", "Checks, tests and explains policies", "Works on files, except explain, which asks a running gateway.",
		nil, policyCheck, policyTest, policyExplain)
	command("map", "Checks and explains resource maps", "Works on files and on the built-in maps.", nil, mapCheck, mapTest, mapExplain)
}

// openMap reads a built-in map by its name, or a file.
func openMap(name string) (*resource.Map, error) {
	if data, err := maps.Source(name); err == nil {
		return resource.Parse(name+".yaml", data)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading map: %q is no built-in map (%s) and cannot be read as a file: %w", name, strings.Join(maps.Names(), ", "), err)
	}
	return resource.Parse(name, data)
}

// openPolicy reads and compiles a policy.
func openPolicy(mapName, file string) (*resource.Map, *policy.Set, error) {
	m, err := openMap(mapName)
	if err != nil {
		return nil, nil, err
	}
	// Read as a gateway reads it, which takes no empty file, folder or device.
	read, err := watchfile.Open(file, func(data []byte) ([]byte, error) { return data, nil }, watchfile.Options[[]byte]{MaxBytes: maxPolicy})
	if err != nil {
		return nil, nil, fmt.Errorf("reading policy: %w", err)
	}
	doc, err := policy.Parse(file, read.Current())
	if err != nil {
		return nil, nil, err
	}
	var key []policy.Option
	if tokens(m) {
		key = append(key, anyKey)
	}
	set, err := policy.Compile(doc, m, key...)
	if err != nil {
		return nil, nil, err
	}
	return m, set, nil
}

func policyCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check <file>", Short: "Parses a policy and compiles it against a map", Args: cobra.ExactArgs(1), SilenceUsage: true,
	}
	name := c.Flags().String("map", "leadsquared", "built-in map or file")
	c.RunE = func(c *cobra.Command, args []string) error {
		m, set, err := openPolicy(*name, args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s is a good policy for %s: %d roles\n", args[0], m.Name, len(set.Roles()))
		return nil
	}
	return c
}

// suites returns the suite of a file (acme_test.yaml for acme.yaml) or, where there
// is none of that name, every suite in its folder.
func suites(path string) ([]string, error) {
	dir := path
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("finding suites: %w", err)
	} else if !info.IsDir() {
		if strings.HasSuffix(path, "_test.yaml") {
			return []string{path}, nil
		}
		own := strings.TrimSuffix(path, filepath.Ext(path)) + "_test.yaml"
		if _, err := os.Stat(own); err == nil {
			return []string{own}, nil
		}
		dir = filepath.Dir(path)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*_test.yaml"))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("finding suites: there is no file *_test.yaml in %s", dir)
	}
	return found, nil
}

func policyTest() *cobra.Command {
	c := &cobra.Command{
		Use: "test <policy> [<suite or folder>]", Short: "Runs the suites (*_test.yaml) that lie beside a policy", Args: cobra.RangeArgs(1, 2), SilenceUsage: true,
	}
	name := c.Flags().String("map", "leadsquared", "built-in map or file")
	c.RunE = func(c *cobra.Command, args []string) error {
		m, set, err := openPolicy(*name, args[0])
		if err != nil {
			return err
		}
		files, err := suites(args[len(args)-1])
		if err != nil {
			return err
		}
		passed, failed := 0, 0
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("reading suite: %w", err)
			}
			suite, err := policytest.Parse(file, data)
			if err != nil {
				return err
			}
			for _, r := range policytest.Run(suite, set, m) {
				if r.Passed() {
					passed++
					continue
				}
				failed++
				for _, fault := range r.Faults {
					fmt.Fprintf(c.OutOrStdout(), "%s: %s: %s\n", file, r.Name, fault)
				}
			}
		}
		fmt.Fprintf(c.OutOrStdout(), "%d passed, %d failed\n", passed, failed)
		if failed > 0 || passed == 0 {
			return errors.New("the policy does not do what its suites say")
		}
		return nil
	}
	return c
}

func mapTest() *cobra.Command {
	c := &cobra.Command{
		Use: "test <map> [<suite or folder>]", Short: "Runs the recorded exchanges (*_test.yaml) that lie beside a map", Args: cobra.RangeArgs(1, 2), SilenceUsage: true,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		m, err := openMap(args[0])
		if err != nil {
			return err
		}
		sources := map[string][]byte{}
		if data, err := maps.Suite(args[0]); err == nil && len(args) == 1 {
			sources[args[0]+"_test.yaml"] = data
		} else {
			files, err := suites(args[len(args)-1])
			if err != nil {
				return err
			}
			for _, file := range files {
				if sources[file], err = os.ReadFile(file); err != nil {
					return fmt.Errorf("reading suite: %w", err)
				}
			}
		}
		passed, failed := 0, 0
		for file, data := range sources {
			suite, err := maptest.Parse(file, data)
			if err != nil {
				return err
			}
			for i := range suite.Cases {
				if err := suite.Cases[i].Run(m); err != nil {
					failed++
					fmt.Fprintf(c.OutOrStdout(), "%s: %v\n", file, err)
					continue
				}
				passed++
			}
		}
		fmt.Fprintf(c.OutOrStdout(), "%d passed, %d failed\n", passed, failed)
		if failed > 0 || passed == 0 {
			return errors.New("the map does not do what its suites say")
		}
		return nil
	}
	return c
}

func policyExplain() *cobra.Command {
	c := online(&cobra.Command{
		Use: "explain <email> <path and query>", Short: "Says what a running gateway would decide about a request, and why", Args: cobra.ExactArgs(2),
	})
	method := c.Flags().String("method", http.MethodGet, "HTTP method")
	body := c.Flags().String("body", "", "request body")
	c.RunE = func(c *cobra.Command, args []string) error {
		in := explainInput{Email: args[0], Method: *method, URL: args[1], Body: *body}
		if in.Body != "" {
			in.Header = map[string]string{"Content-Type": "application/json"}
		}
		var out explanation
		if err := call(c, http.MethodPost, "/policy/explain", in, &out); err != nil {
			return printed(err)
		}
		return printExplanation(c, &out)
	}
	return c
}

func printExplanation(c *cobra.Command, out *explanation) error {
	w := c.OutOrStdout()
	fmt.Fprintln(w, strings.TrimSpace(out.Request))
	verdict := "denied"
	switch {
	case out.Allow:
		verdict = "allowed"
	case out.Depends:
		verdict = "denied unless the record as it is now allows it"
	}
	fmt.Fprintf(w, "\n%s (%s)", verdict, out.Reason)
	if out.Detail != "" {
		fmt.Fprintf(w, ": %s", out.Detail)
	}
	fmt.Fprintln(w)
	if out.Explanation == nil {
		return nil
	}
	text, err := json.MarshalIndent(out.Explanation, "", "  ")
	if err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	fmt.Fprintln(w, string(text))
	return nil
}

func mapCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check <map>", Short: "Finds dead routes, overlaps and pointers that never match", Args: cobra.ExactArgs(1), SilenceUsage: true,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		m, err := openMap(args[0])
		if err != nil {
			return err
		}
		if _, err := policy.Compile(policy.Empty(), m, anyKey); err != nil {
			return err // what a gateway would not start with, whatever its policy
		}
		findings := m.Check()
		for _, f := range findings {
			fmt.Fprintln(c.OutOrStdout(), f)
		}
		if len(findings) > 0 {
			return errors.New("the map can be mended")
		}
		fmt.Fprintf(c.OutOrStdout(), "%s is a good map: %d routes, %d entities\n", m.Name, len(m.Routes), len(m.Entities))
		return nil
	}
	return c
}

func mapExplain() *cobra.Command {
	c := &cobra.Command{
		Use: "explain <map> <method> <url> [<body>]", Short: "Says what a request is, and why", Args: cobra.RangeArgs(3, 4), SilenceUsage: true,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		m, err := openMap(args[0])
		if err != nil {
			return err
		}
		in := explainInput{Method: args[1], URL: args[2]}
		if len(args) == 4 {
			in.Body, in.Header = args[3], map[string]string{"Content-Type": "application/json"}
		}
		req, err := requestOf(&in)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), strings.TrimSpace(m.Explain(req)))
		return nil
	}
	return c
}
