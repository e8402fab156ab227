// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Limits of what the mobile routes keep.
const (
	maxRecording  = 10 << 20
	maxRecordings = 100
	maxPoints     = 1000
)

// fieldWork is what mobile apps have sent besides leads.
type fieldWork struct {
	visits     []visit
	points     int
	recordings map[string]recording
	order      []string
}

type visit struct {
	userID, kind, at    string
	latitude, longitude string
}

type recording struct {
	leadID, userID, kind string
	data                 []byte
}

// pull answers the leads changed since the last pull, oldest change first, and
// the ids deleted since. An empty Since is everything.
func pull(c *CRM, q *call) (any, error) {
	var body struct {
		Since               scalar
		PageIndex, PageSize scalar
	}
	if len(q.body) > 0 {
		if err := decode(q.body, &body); err != nil {
			return nil, err
		}
	}
	since := ""
	if body.Since != "" {
		t, ok := parseTime(string(body.Since))
		if !ok {
			return nil, badRequest("'Since' takes a date as YYYY-MM-DD HH:MM:SS or the SyncToken of an earlier answer")
		}
		since = formatTime(t)
	}
	if body.PageSize == "" {
		body.PageSize = "100"
	}
	// A change in the very millisecond of the last pull is sent again rather
	// than lost.
	i := leadSchema.must("ModifiedOn")
	rows, _, n, err := selectRows(leadSchema, c.leads.rows, func(r *record) bool { return r.at(i) >= since },
		columns{}, sorting{"ModifiedOn", "0"}, paging{PageIndex: body.PageIndex, PageSize: body.PageSize}, maxEvents)
	if err != nil {
		return nil, err
	}
	deleted := []string{}
	for _, d := range c.deleted {
		if d.on >= since {
			deleted = append(deleted, d.id)
		}
	}
	return struct {
		RecordCount int
		Leads       []flat
		Deleted     []string
		SyncToken   string
	}{n, flats(leadSchema, leadSchema.all, rows), deleted, formatTime(q.now)}, nil
}

type pushLead struct {
	ProspectID     string
	BaseModifiedOn scalar
	Fields         []pair
}

type pushResult struct {
	ProspectID string
	Status     string // Applied, Created, Conflict or Error
	ModifiedOn string
}

// push takes changes made offline. A lead changed here since BaseModifiedOn is
// a Conflict and stays; without a BaseModifiedOn the push wins. An unknown id
// is a lead created offline, unless the lead was deleted here.
func push(c *CRM, q *call) (any, error) {
	var body struct{ Leads []pushLead }
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if len(body.Leads) == 0 || len(body.Leads) > 500 {
		return nil, badRequest("'Leads' takes 1 to 500 leads")
	}
	results := []pushResult{}
	for _, l := range body.Leads {
		results = append(results, c.pushOne(q, l))
	}
	return struct{ Results []pushResult }{results}, nil
}

func (c *CRM) pushOne(q *call, l pushLead) pushResult {
	id := strings.ToLower(strings.TrimSpace(l.ProspectID))
	old, ok := c.leads.lookup(id)
	var r *record
	var err error
	status := "Applied"
	switch {
	case !ok:
		status = "Created"
		for _, d := range c.deleted {
			if d.id == id {
				return pushResult{l.ProspectID, "Error", ""}
			}
		}
		r, err = c.createLead(q.user, q.now, id, l.Fields)
	case l.BaseModifiedOn != "" && comparableForm(date, string(l.BaseModifiedOn)) != leadSchema.get(old, "ModifiedOn"):
		return pushResult{l.ProspectID, "Conflict", leadSchema.get(old, "ModifiedOn")}
	default:
		r, err = c.updateLead(q.user, q.now, old, l.Fields, updateAll)
	}
	if err != nil {
		return pushResult{l.ProspectID, "Error", ""}
	}
	return pushResult{leadSchema.idOf(r), status, leadSchema.get(r, "ModifiedOn")}
}

// place is a position; both halves may be missing or null, since an app may
// not be allowed to send it.
type place struct {
	Latitude, Longitude scalar
	At                  scalar
}

func (p place) check() error {
	for _, v := range []struct {
		value scalar
		limit float64
	}{{p.Latitude, 90}, {p.Longitude, 180}} {
		if v.value == "" {
			continue
		}
		f, err := strconv.ParseFloat(string(v.value), 64)
		if err != nil || !(f >= -v.limit && f <= v.limit) {
			return badRequest("'Latitude' is a number from -90 to 90 and 'Longitude' one from -180 to 180")
		}
	}
	if _, ok := parseTime(string(p.At)); p.At != "" && !ok {
		return badRequest("'At' takes a date as YYYY-MM-DD HH:MM:SS")
	}
	return nil
}

func checkInOut(kind string) endpoint {
	return func(c *CRM, q *call) (any, error) {
		var p place
		if err := decode(q.body, &p); err != nil {
			return nil, err
		}
		if err := p.check(); err != nil {
			return nil, err
		}
		c.field.visits = append(c.field.visits, visit{q.user.id, kind, string(p.At), string(p.Latitude), string(p.Longitude)})
		return okay(), nil
	}
}

func location(c *CRM, q *call) (any, error) {
	var body struct{ Points []place }
	if err := decode(q.body, &body); err != nil {
		return nil, err
	}
	if len(body.Points) > maxPoints {
		return nil, badRequest("'Points' takes at most %d points", maxPoints)
	}
	for _, p := range body.Points {
		if err := p.check(); err != nil {
			return nil, err
		}
	}
	c.field.points += len(body.Points)
	return okayRows(len(body.Points)), nil
}

// uploadRecording takes a call recording: multipart, parts file and
// ProspectID. The newest hundred are kept.
func (c *CRM) uploadRecording(q *call) error {
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, maxRecording+1<<16)
	if err := q.r.ParseMultipartForm(maxRecording); err != nil {
		return badRequest("a multipart body of at most 10 MB with the parts file and ProspectID was expected")
	}
	defer q.r.MultipartForm.RemoveAll()
	file, header, err := q.r.FormFile("file")
	if err != nil {
		return badRequest("the part 'file' is missing")
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("reading a recording: %w", err)
	}
	c.mu.Lock()
	lead, err := c.mustLead(q.r.PostFormValue("ProspectID"))
	if err != nil {
		c.mu.Unlock()
		return badRequest("the part 'ProspectID' names no lead")
	}
	id := c.newID()
	if c.field.recordings == nil {
		c.field.recordings = map[string]recording{}
	}
	c.field.recordings[id] = recording{leadSchema.idOf(lead), q.user.id, header.Header.Get("Content-Type"), data}
	c.field.order = append(c.field.order, id)
	if len(c.field.order) > maxRecordings {
		delete(c.field.recordings, c.field.order[0])
		c.field.order = c.field.order[1:]
	}
	c.mu.Unlock()
	return writeJSON(q.w, http.StatusOK, okayID(id))
}

func (c *CRM) downloadRecording(q *call) error {
	c.mu.RLock()
	rec, ok := c.field.recordings[q.capture("id")]
	c.mu.RUnlock()
	if !ok {
		return notFound("Recording")
	}
	h := q.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if strings.HasPrefix(rec.kind, "audio/") {
		h.Set("Content-Type", rec.kind)
	}
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape("recording-"+q.capture("id")))
	h.Set("Content-Length", strconv.Itoa(len(rec.data)))
	h.Set("Cache-Control", "no-store")
	if _, err := q.w.Write(rec.data); err != nil {
		return errors.Join(errors.New("writing a recording"), err)
	}
	return nil
}

func mobileSettings(c *CRM, q *call) (any, error) {
	return struct {
		AllowOfflineAccess        bool
		NumberOfLeads             int
		Overwrite                 string
		RecordCalls               bool
		TrackLocation             bool
		TrackLocationOnLeadUpdate bool
	}{true, 10000, "Overwrite", true, true, true}, nil
}
