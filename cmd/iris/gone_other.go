//go:build !linux

package main

import (
	"context"
	"syscall"
	"time"
)

// waitGone returns when the process has ended.
func waitGone(ctx context.Context, pid int) error {
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
