// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package corktest

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Segments returns how many segments with data a connection has sent and received. Each
// system call makes one, or more where it writes half a window of the receiver or more.
func Segments(t testing.TB, conn *net.TCPConn) (sent, received int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatalf("finding the socket: %v", err)
	}
	_ = raw.Control(func(fd uintptr) {
		info, e := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err = e; e == nil {
			sent, received = int(info.Data_segs_out), int(info.Data_segs_in)
		}
	})
	if err != nil {
		t.Fatalf("reading what the kernel counted: %v", err)
	}
	return sent, received
}
