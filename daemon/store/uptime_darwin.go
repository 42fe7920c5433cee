package store

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is the time since the machine's start, including the time in which it slept.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("bug: no clock counts from the machine's start: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
