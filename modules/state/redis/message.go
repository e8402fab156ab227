// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"errors"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// message is one published change: "seq kind ttl keylength key value", without a
// space between key and value. ttl is in ms, 0 for without end.
type message struct {
	seq   int64
	kind  state.ChangeKind
	ttl   int64
	key   string
	value string
}

var errMessage = errors.New("a published change cannot be read")

func parseMessage(payload string) (m message, err error) {
	var head [4]string
	rest, ok := payload, false
	for i := range head {
		if head[i], rest, ok = strings.Cut(rest, " "); !ok {
			return m, errMessage
		}
	}
	n := [4]int64{}
	for i, h := range head {
		if n[i], err = strconv.ParseInt(h, 10, 64); err != nil || n[i] < 0 {
			return m, errMessage
		}
	}
	if n[3] > int64(len(rest)) || n[1] > int64(state.Deleted) {
		return m, errMessage
	}
	return message{seq: n[0], kind: state.ChangeKind(n[1]), ttl: n[2], key: rest[:n[3]], value: rest[n[3]:]}, nil
}

// change makes of a message what watchers hear.
func (s *Store) change(m message) state.Change {
	c := state.Change{Kind: m.kind, Entry: state.Entry{Key: m.key}}
	if m.kind == state.Put {
		left := m.ttl
		if left == 0 {
			left = -1
		}
		c.Entry = s.entry(m.key, m.value, left)
	}
	return c
}
