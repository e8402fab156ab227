// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var staticFiles embed.FS

//go:embed pages/shell.html pages/print.html
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// contentPolicy allows nothing that is not a file of this server.
const contentPolicy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// asset is one static file with its validator.
type asset struct {
	data []byte
	kind string
	etag string
}

func loadAssets() (map[string]asset, error) {
	out := map[string]asset{}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := staticFiles.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		kind := mime.TypeByExtension(path.Ext(name))
		if path.Ext(name) == ".js" {
			kind = "text/javascript; charset=utf-8"
		}
		sum := sha256.Sum256(data)
		out[name] = asset{data, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	return out, err
}

func (c *CRM) serveAsset(q *call, name string) error {
	a, ok := c.assets["static/"+name]
	if !ok {
		return notFound("File")
	}
	h := q.w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.etag)
	h.Set("Cache-Control", "public, max-age=300")
	if q.r.Header.Get("If-None-Match") == a.etag {
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if _, err := q.w.Write(a.data); err != nil {
		return fmt.Errorf("writing a file: %w", err)
	}
	return nil
}

func (c *CRM) static(q *call) error  { return c.serveAsset(q, q.capture("file")) }
func (c *CRM) favicon(q *call) error { return c.serveAsset(q, "favicon.svg") }

func (c *CRM) home(q *call) error {
	http.Redirect(q.w, q.r, "/app/leads", http.StatusFound)
	return nil
}

// shell answers a page without any record in it; its script fetches the data.
func (c *CRM) shell(title, script string) func(*call) error {
	return func(q *call) error {
		return writePage(q.w, "shell.html", struct{ Title, Script string }{title, script})
	}
}

func writePage(w http.ResponseWriter, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return fmt.Errorf("rendering %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// printLead renders a lead into the page itself, record data and all.
func (c *CRM) printLead(q *call) error {
	c.mu.RLock()
	r, ok := c.leads.lookup(q.capture("id"))
	c.mu.RUnlock()
	if !ok {
		return notFound("Lead")
	}
	type line struct{ Label, Value string }
	var lines []line
	for i, col := range leadSchema.cols {
		if v := r.at(i); v != "" {
			lines = append(lines, line{col.label, v})
		}
	}
	name := strings.TrimSpace(leadSchema.get(r, "FirstName") + " " + leadSchema.get(r, "LastName"))
	return writePage(q.w, "print.html", struct {
		Name  string
		Lines []line
	}{name, lines})
}

// exportLeads writes every lead as CSV, with schema names in the first line.
func (c *CRM) exportLeads(q *call) error {
	c.mu.RLock()
	rows := where(c.leads.rows, func(*record) bool { return true })
	c.mu.RUnlock()
	h := q.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="leads.csv"`)
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(q.w)
	line := make([]string, len(leadSchema.cols))
	for i, col := range leadSchema.cols {
		line[i] = col.name
	}
	if err := out.Write(line); err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	for _, r := range rows {
		for i := range leadSchema.cols {
			line[i] = r.at(i)
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	return nil
}
