// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// events streams a heartbeat as server-sent events until the client goes.
func (c *CRM) events(q *call) error {
	h := q.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	out := http.NewResponseController(q.w)
	q.w.WriteHeader(http.StatusOK)
	c.beat(q.r.Context(), c.eventsEvery, func(_ context.Context, message string) error {
		if _, err := fmt.Fprintf(q.w, "data: %s\n\n", message); err != nil {
			return err
		}
		return out.Flush()
	})
	return nil
}

// socket is the live connection of the web UI: heartbeats only, no records,
// and what the client says is not read. Key pairs are not ambient the way
// cookies are, so the Origin says nothing and is not checked here.
func (c *CRM) socket(q *call) error {
	conn, err := websocket.Accept(q.w, q.r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil // Accept has answered
	}
	defer conn.CloseNow()
	ctx := conn.CloseRead(q.r.Context())
	c.beat(ctx, c.socketEvery, func(ctx context.Context, message string) error {
		return conn.Write(ctx, websocket.MessageText, []byte(message))
	})
	return nil
}

// beat sends one heartbeat at once and one each period until ctx ends or the
// client cannot be reached any more.
func (c *CRM) beat(ctx context.Context, every time.Duration, send func(context.Context, string) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		message := `{"type":"heartbeat","at":"` + formatTime(c.clock.Now()) + `"}`
		if send(ctx, message) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
