// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// The printed line is enough to make a call with, and the command ends when told.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--leads", "20", "--json"}, in) }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("reading the printed line: %v", err)
	}
	var s start
	if err := json.Unmarshal(line, &s); err != nil || len(s.Users) < 5 || s.APIKey == "" {
		t.Fatalf("the line must hold the address, the people and their keys: %v\n%s", err, line)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/app/api/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-LSQ-AccessKey", s.Users[0].AccessKey)
	r.Header.Set("x-LSQ-SecretKey", s.Users[0].SecretKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("the printed keys are refused: status %d", answer.StatusCode)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ending: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the command did not end")
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"--leads", "-1"}, {"--leads", "many"}, {"--listen", "nowhere:x"}} {
		var out strings.Builder
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%v must be refused", args)
		}
	}
}

// Without --json people get a table.
func TestTable(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out strings.Builder
	if err := run(ctx, []string{"--listen", "127.0.0.1:0", "--leads", "5"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"admin@acme.test", "Sales_Manager", "u$r", "(deactivated)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %s", want)
		}
	}
}
