//go:build !linux

package procs

import "context"

// awaitExit leaves the waiting to the blocking call.
func awaitExit(int) bool { return false }

// Await returns at once.
func (p ID) Await(context.Context) {}
