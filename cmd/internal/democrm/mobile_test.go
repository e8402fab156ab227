// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

type pulled struct {
	RecordCount int
	Leads       []flatRow
	Deleted     []string
	SyncToken   string
}

func TestPull(t *testing.T) {
	b := newBench(t)
	var p pulled
	b.call("asha", post, "/mobile/v1/sync/pull", `{"Since":"","PageIndex":1,"PageSize":1000}`, &p)
	if p.RecordCount != 240 || len(p.Leads) != 240 || len(p.Deleted) != 0 {
		t.Fatalf("the first pull must bring every lead: %d of %d", len(p.Leads), p.RecordCount)
	}
	b.call("asha", post, "/mobile/v1/sync/pull", `{"Since":"`+p.SyncToken+`"}`, &p)
	if p.RecordCount != 0 {
		t.Errorf("nothing changed since, yet %d leads came", p.RecordCount)
	}
	token := p.SyncToken
	other := leadSchema.idOf(b.crm.leads.rows[5])
	b.clock.advance(time.Second)
	b.call("ravi", post, leadsSvc+"Lead.Update?leadId="+knownLead, pairsJSON("mx_City", "Pune"), nil)
	b.call("ravi", get, leadsSvc+"Lead/Delete/ById?leadId="+other, "", nil)
	b.call("asha", post, "/mobile/v1/sync/pull", `{"Since":"`+token+`"}`, &p)
	if p.RecordCount != 1 || str(p.Leads[0]["ProspectID"]) != knownLead || len(p.Deleted) != 1 || p.Deleted[0] != other {
		t.Errorf("a pull must bring what changed and what is gone since the token: %d leads, deleted %v", p.RecordCount, p.Deleted)
	}
}

func TestPush(t *testing.T) {
	b := newBench(t)
	base := str(b.lead(knownLead)["ModifiedOn"])
	send := func(id, base, city string) pushResult {
		t.Helper()
		var out struct{ Results []pushResult }
		b.call("asha", post, "/mobile/v1/sync/push", `{"Leads":[{"ProspectID":"`+id+`","BaseModifiedOn":"`+base+`","Fields":[{"Attribute":"FirstName","Value":"I"},{"Attribute":"mx_City","Value":"`+city+`"}]}]}`, &out)
		if len(out.Results) != 1 {
			t.Fatalf("%d results for one lead", len(out.Results))
		}
		return out.Results[0]
	}
	city := func() string { return str(b.lead(knownLead)["mx_City"]) }
	if r := send(knownLead, base, "Pune"); r.Status != "Applied" || r.ModifiedOn != "2026-07-01 09:00:00.000" || city() != "Pune" {
		t.Errorf("a change to the known version must be applied: %+v, city %s", r, city())
	}
	if r := send(knownLead, base, "Kochi"); r.Status != "Conflict" || r.ModifiedOn != "2026-07-01 09:00:00.000" || city() != "Pune" {
		t.Errorf("a change to an old version must be a conflict and change nothing: %+v, city %s", r, city())
	}
	if r := send(knownLead, "2026-07-01T09:00:00Z", "Mysuru"); r.Status != "Applied" || city() != "Mysuru" {
		t.Errorf("the same moment in another form is the same version: %+v", r)
	}
	if r := send(knownLead, "", "Kochi"); r.Status != "Applied" || city() != "Kochi" {
		t.Errorf("without a base version the push wins: %+v", r)
	}
	const offline = "aaaaaaaa-0000-4000-8000-000000000001"
	if r := send(offline, "", "Pune"); r.Status != "Created" || r.ProspectID != offline {
		t.Errorf("a lead made offline keeps its id: %+v", r)
	}
	if r := send("", "", "Pune"); r.Status != "Created" || len(r.ProspectID) != 36 {
		t.Errorf("a lead made offline without an id gets one: %+v", r)
	}
	b.call("ravi", get, leadsSvc+"Lead/Delete/ById?leadId="+offline, "", nil)
	if r := send(offline, "", "Pune"); r.Status != "Error" {
		t.Errorf("a deleted lead must not come back by a push: %+v", r)
	}
}

func TestRecordings(t *testing.T) {
	b := newBench(t)
	upload := func(lead string, size int) (int, string) {
		t.Helper()
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		if err := form.WriteField("ProspectID", lead); err != nil {
			t.Fatal(err)
		}
		part, err := form.CreateFormFile("file", "call.mp3")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(bytes.Repeat([]byte("a"), size)); err != nil {
			t.Fatal(err)
		}
		form.Close()
		r := b.request("asha", post, "/mobile/v1/recordings", body.String())
		r.Header.Set("Content-Type", form.FormDataContentType())
		w := b.do(r)
		var made struct{ Message struct{ Id string } }
		if w.Code == 200 {
			if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, made.Message.Id
	}
	code, id := upload(knownLead, 1000)
	if code != 200 || id == "" {
		t.Fatalf("upload: status %d", code)
	}
	w := b.do(b.request("asha", get, "/mobile/v1/recordings/"+id, ""))
	if w.Code != 200 || w.Body.Len() != 1000 || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("download: status %d, %d bytes: the recording must come back whole, as a file", w.Code, w.Body.Len())
	}
	if code, _ := upload("x", 10); code != 400 {
		t.Errorf("a recording of no lead: status %d, want 400", code)
	}
	if code, _ := upload(knownLead, maxRecording+1<<17); code != 400 {
		t.Errorf("a recording beyond the limit: status %d, want 400", code)
	}
	b.refused("asha", get, "/mobile/v1/recordings/x", "", 404, "MXNotFoundException")
	b.refused("asha", post, "/mobile/v1/recordings", "no form", 400, "MXInvalidInputException")
	for range maxRecordings {
		upload(knownLead, 1)
	}
	b.refused("asha", get, "/mobile/v1/recordings/"+id, "", 404, "MXNotFoundException")
}
