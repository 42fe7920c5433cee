package main

import (
	"bytes"
	"net"
	"syscall"
	"testing"
	"time"
)

// awaitLine waits until a line can be read, and leaves it unread.
func awaitLine(t *testing.T, nc *net.UnixConn) {
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(longEnough); ; time.Sleep(time.Millisecond) {
		n := 0
		raw.Read(func(fd uintptr) bool {
			n, _, _ = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK)
			return true
		})
		if bytes.Count(buf[:max(n, 0)], []byte("\n")) >= 2 { // hello and the call
			return
		}
		if time.Now().After(end) {
			t.Error("no call was written")
			return
		}
	}
}
