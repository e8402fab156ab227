// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// sheetRead is a sheet as openpyxl reads it: its name and its rows.
type sheetRead struct {
	name string
	rows [][]any
}

// UnmarshalJSON reads what testdata/workbooks/read.py prints.
func (s *sheetRead) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&s.name, &s.rows})
}

// lines spells the rows, a line each.
func (s *sheetRead) lines(t testing.TB) string {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for _, row := range s.rows {
		if err := e.Encode(row); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// TestWorkbooksOfOtherPrograms: a workbook that a spreadsheet program or a library
// wrote comes to each role as one that another program opens without a complaint,
// with the cells the role may see, and no canary in any part.
// UPDATE_GOLDEN=1 writes those cells anew: read the diff.
func TestGoldenWorkbooksOfOtherPrograms(t *testing.T) {
	files, err := filepath.Glob("../../testdata/workbooks/*.xlsx")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d workbooks: %v", len(files), err)
	}
	shapes, err := filepath.Abs("../../testdata/leaks/map.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var body atomic.Pointer[[]byte]
	crm := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
		_, _ = w.Write(*body.Load())
	})
	d := (&setup{crm: serve(t, crm), crmMap: shapes, policy: leakPolicy}).start(t)
	dir := t.TempDir()
	var args []string
	for _, who := range [][2]string{{"sales_manager", "manager-1"}, {"sales_user", "seller-1"}} {
		role, id := who[0], who[1]
		d.add(t, id+"@acme.test", role, crmUser{ID: id})
		b := d.signedIn(t, id+"@acme.test")
		for _, file := range files {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if planted := findCanaries(in); len(planted) < 3 {
				t.Fatalf("%s has only %q in it: that proves nothing", file, planted)
			}
			body.Store(&in)
			a := b.get("/leads.book")
			if a.StatusCode != http.StatusOK {
				t.Errorf("%s cannot be exported by a %s: %s %.300s", filepath.Base(file), role, a.Status, a.text())
				continue
			}
			if leaks := findCanaries(a.body); len(leaks) > 0 {
				t.Errorf("%s shows a %s %q", filepath.Base(file), role, leaks)
			}
			out := filepath.Join(dir, role+"-"+filepath.Base(file))
			write(t, out, a.text())
			args = append(args, out)
		}
	}
	read := exec.Command("/usr/bin/python3", append([]string{"../../testdata/workbooks/read.py"}, args...)...)
	read.Stderr = os.Stderr
	printed, err := read.Output()
	if err != nil {
		t.Fatalf("what comes out is no workbook to another reader: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	if len(lines) != len(args) {
		t.Fatalf("%d of %d workbooks are read", len(lines), len(args))
	}
	var got strings.Builder
	for i, line := range lines {
		var sheets []sheetRead
		if err := json.Unmarshal([]byte(line), &sheets); err != nil {
			t.Fatal(err)
		}
		for _, s := range sheets {
			fmt.Fprintf(&got, "== %s: %s\n%s", strings.Replace(filepath.Base(args[i]), "-", " ", 1), s.name, s.lines(t))
		}
	}
	const golden = "../../testdata/workbooks/want.txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		write(t, golden, got.String())
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("another program reads other cells than a person should see; got\n%s\nwant\n%s", got.String(), want)
	}
}
