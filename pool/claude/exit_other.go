//go:build !linux

package claude

import "context"

// awaitExit leaves the waiting to the blocking call.
func awaitExit(int) bool { return false }

func (p procID) await(context.Context) {}
