// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package cork

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/cork/corktest"
)

// TestOneCallForAnAnswer: the header and what there is of the body leave together, where
// a server by itself sends the first 4 KiB alone and TLS each record. That is what
// corking is for.
func TestOneCallForAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		secure  bool
		size    int
		want    int // system calls at most
		without int // at least, when it is not corked
	}{
		"10 KB":           {false, 10 << 10, 1, 2},
		"20 KB":           {false, 20 << 10, 1, 2},
		"10 KB over TLS":  {true, 10 << 10, 1, 2},
		"60 KB over TLS":  {true, 60 << 10, 3, 4},
		"less than 4 KiB": {false, 3 << 10, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(corked bool) int {
				var sent, before int
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					k := Of(r.Context())
					w.Header().Set("Content-Length", strconv.Itoa(c.size))
					before, _ = corktest.Segments(t, k.TCPConn)
					if corked {
						k.Cork()
						defer func() {
							_ = k.Uncork()
							sent, _ = corktest.Segments(t, k.TCPConn)
						}()
					}
					_, _ = w.Write(make([]byte, c.size))
					_ = http.NewResponseController(w).Flush()
					sent, _ = corktest.Segments(t, k.TCPConn)
				}))
				s.Listener, s.Config.ConnContext = Listener{s.Listener}, With
				dial := func() (net.Conn, error) { return net.Dial("tcp", s.Listener.Addr().String()) }
				if c.secure {
					s.TLS = &tls.Config{MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
					s.StartTLS()
					dial = func() (net.Conn, error) {
						return tls.Dial("tcp", s.Listener.Addr().String(), s.Client().Transport.(*http.Transport).TLSClientConfig) //nolint:wrapcheck // the test's
					}
				} else {
					s.Start()
				}
				conn, err := dial()
				if err != nil {
					t.Fatalf("dialling: %v", err)
				}
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: crm\r\n\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatalf("reading the answer: %v", err)
				}
				got, err := io.ReadAll(resp.Body)
				if err != nil || len(got) != c.size {
					t.Errorf("%d bytes arrived of %d: %v", len(got), c.size, err)
				}
				conn.Close()
				s.Close() // the handler is over
				return sent - before
			}
			if n := ask(true); n > c.want {
				t.Errorf("an answer took %d system calls, want %d", n, c.want)
			}
			if n := ask(false); n < c.without {
				t.Errorf("without corking it took %d system calls: corking is for nothing", n)
			}
		})
	}
}
