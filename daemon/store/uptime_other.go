//go:build !linux && !darwin

package store

import "time"

var processStart = time.Now()

// uptime does not include the time in which the machine slept: after sleep the clock looks
// as if it was set ahead, and old records are kept for a day longer.
func uptime() time.Duration { return time.Since(processStart) }
