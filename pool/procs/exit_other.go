//go:build !linux

package procs

import "context"

// awaitExit does not wait: the caller uses the blocking call.
func awaitExit(int) bool { return false }

// Await returns at once.
func (p ID) Await(context.Context) {}
