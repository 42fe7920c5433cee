//go:build !linux && !darwin

package store

import "time"

var processStart = time.Now()

// uptime does not count here while the machine sleeps: after that the clock looks
// as if it had been set ahead, and what is old is kept for a day longer.
func uptime() time.Duration { return time.Since(processStart) }
