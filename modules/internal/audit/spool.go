// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// errSpoolFull is returned when the spool has no room for a batch.
var errSpoolFull = errors.New("the spool is full")

// SpoolError says that a spool file is not what a gateway left behind. Nothing of
// it was stored, and the file is as it was.
type SpoolError struct {
	File string
	Line int
	What string
}

// Error says where, what, and how to mend.
func (e *SpoolError) Error() string {
	return fmt.Sprintf("%s:%d: %s; move the file aside to start without its records, and keep it", e.File, e.Line, e.What)
}

// spool is the file in which sealed records wait for the sink, one JSON object a
// line, on disk before append returns. It is not safe for concurrent use.
type spool struct {
	file  *os.File
	max   int64
	size  int64 // end of the last whole line
	done  int64 // the sink has what stands before this
	end   Head  // the last record in it
	count int64 // records that wait
}

// openSpool opens or creates the file and checks every record in it. A last line
// that a crash cut short was never acknowledged and is dropped. Anything else
// that is no record, is changed or is out of order is a *SpoolError.
func openSpool(path string, max int64) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &spool{file: f, max: max}
	if err := s.check(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *spool) check(path string) error {
	in := bufio.NewReader(io.NewSectionReader(s.file, 0, 1<<62))
	for line := 1; ; line++ {
		text, err := in.ReadBytes('\n')
		if err == io.EOF {
			return s.file.Truncate(s.size)
		}
		if err != nil {
			return err
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return &SpoolError{path, line, "the line is no audit record"}
		}
		if HashOf(&r) != r.Hash {
			return &SpoolError{path, line, fmt.Sprintf("record %d is not what was written", r.Seq)}
		}
		if s.size > 0 && (r.Chain != s.end.Chain || r.Seq != s.end.Seq+1 || r.Prev != s.end.Hash) {
			return &SpoolError{path, line, fmt.Sprintf("record %d does not follow record %d", r.Seq, s.end.Seq)}
		}
		s.size += int64(len(text))
		s.count++
		s.end = Head{r.Chain, r.Seq, r.Hash}
	}
}

func (s *spool) empty() bool { return s.size == s.done }

// append puts sealed records at the end; they are on disk when it returns nil.
func (s *spool) append(rs []Record) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i := range rs {
		if err := enc.Encode(&rs[i]); err != nil {
			return err
		}
	}
	if s.size+int64(b.Len()) > s.max {
		return errSpoolFull
	}
	_, err := s.file.WriteAt(b.Bytes(), s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		// What did get there must not be read as acknowledged after a restart.
		return errors.Join(err, s.file.Truncate(s.size))
	}
	s.size += int64(b.Len())
	s.count += int64(len(rs))
	last := &rs[len(rs)-1]
	s.end = Head{last.Chain, last.Seq, last.Hash}
	return nil
}

// next returns up to n records that wait, and the place behind them for taken.
func (s *spool) next(n int) (rs []Record, behind int64, err error) {
	in := bufio.NewReader(io.NewSectionReader(s.file, s.done, s.size-s.done))
	behind = s.done
	for len(rs) < n {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var r Record
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return nil, 0, err
		}
		behind += int64(len(text))
		rs = append(rs, r)
	}
	return rs, behind, nil
}

// taken notes that the sink has everything before behind, and empties the file
// when that is all of it.
func (s *spool) taken(behind int64, records int) error {
	s.done = behind
	s.count -= int64(records)
	if !s.empty() {
		return nil
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	s.size, s.done, s.end, s.count = 0, 0, Head{}, 0
	return s.file.Sync()
}

func (s *spool) close() error { return s.file.Close() }
