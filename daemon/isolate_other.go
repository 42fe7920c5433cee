//go:build !linux

package daemon

import "os"

// Isolate moves the daemon to / . What else a caller lends is undone on Linux
// only.
func Isolate(keep ...int) error { return os.Chdir("/") }
