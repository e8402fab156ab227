// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// variant is one thing measured.
type variant struct {
	name   string
	addr   string
	cookie string
	pid    int
	admin  string // of the process, "" when it has none
	masked bool
}

// loaded is what a run found.
type loaded struct {
	micros float64 // CPU of the process, for each request
	allocs float64 // of it, 0 when it does not tell
}

// load asks for one size as fast as it goes.
func (v *variant) load(size bodySize, length time.Duration, clients int) (loaded, error) {
	request := v.request(strconv.Itoa(size.leads))
	if err := v.check(strconv.Itoa(size.leads)); err != nil {
		return loaded{}, err
	}
	mallocs, err := v.mallocs()
	if err != nil {
		return loaded{}, err
	}
	before, err := cpu(v.pid)
	if err != nil {
		return loaded{}, err
	}
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	end := time.Now().Add(length)
	for range clients {
		wg.Go(func() {
			c, err := connect(v.addr)
			for err == nil && time.Now().Before(end) && failed.Load() == nil {
				if err = c.ask(request); err == nil {
					n.Add(1)
				}
			}
			if err != nil {
				failed.Store(&err)
				return
			}
			_ = c.conn.Close()
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return loaded{}, *err
	}
	after, err := cpu(v.pid)
	if err != nil {
		return loaded{}, err
	}
	all, err := v.mallocs()
	if err != nil {
		return loaded{}, err
	}
	return loaded{float64((after - before).Microseconds()) / float64(n.Load()), (all - mallocs) / float64(n.Load())}, nil
}

// request is the bytes that ask for a size.
func (v *variant) request(size string) []byte {
	cookie := ""
	if v.cookie != "" {
		cookie = "Cookie: " + v.cookie + "\r\n"
	}
	return []byte("GET /app/api/leads?size=" + size + " HTTP/1.1\r\nHost: " + v.addr + "\r\nAccept: application/json\r\n" + cookie + "\r\n")
}

// check looks once at what comes, by a client that is not ours.
func (v *variant) check(size string) error {
	res, err := v.get(size)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch text := string(body); {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %.300s", res.Status, text)
	case !json.Valid(body):
		return errors.New("the answer is no JSON")
	case strings.Contains(text, canary) == v.masked || strings.Contains(text, "ABCPE") == v.masked || strings.Contains(text, "-03-04") == v.masked,
		!strings.Contains(text, shown):
		return fmt.Errorf("the answer is not what its role sees: %.600s", text)
	}
	return nil
}

func (v *variant) get(size string) (*http.Response, error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(v.request(size))))
	if err != nil {
		return nil, err
	}
	req.RequestURI, req.URL.Scheme, req.URL.Host = "", "http", v.addr
	return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}).Do(req)
}

// client is one connection. It reads no more of an answer than it must to find
// the end, so that most of the machine is left to what is measured.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func connect(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

// ask sends a request and reads its answer to the end.
func (c *client) ask(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("%q: %w", line, errors.Join(err, errors.New("no answer of status 200")))
	}
	length, chunked := -1, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	if !chunked {
		_, err = c.in.Discard(length)
		return err
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return err
		}
		if _, err := c.in.Discard(int(n) + 2); err != nil || n == 0 {
			return err
		}
	}
}

// cpu is the time a process has had a processor for, in user and system mode, by
// what the scheduler counts for its threads. That is exact to the nanosecond, where
// /proc/<pid>/stat has ticks of 10 ms. The programs measured here end no threads.
func cpu(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d: %w", pid, errors.Join(err, os.ErrNotExist))
	}
	var sum time.Duration
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return 0, err
		}
		ran, _, _ := strings.Cut(string(raw), " ")
		n, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// mallocs is how many objects a process has allocated so far.
func (v *variant) mallocs() (float64, error) {
	if v.admin == "" {
		return 0, nil
	}
	res, err := http.Get("http://" + v.admin + "/debug/vars")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var vars struct{ Memstats struct{ Mallocs float64 } }
	err = json.NewDecoder(res.Body).Decode(&vars)
	return vars.Memstats.Mallocs, err
}
