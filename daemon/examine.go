package daemon

import (
	"context"

	"iris/config"
	"iris/daemon/agents"
	"iris/ipc"
)

// Examine is agents.Examine, for package main.
func Examine(ctx context.Context, paths config.Paths) (ipc.Examination, error) {
	return agents.Examine(ctx, paths)
}

// Finds is agents.Finds, for package main.
func Finds(ctx context.Context, command string) bool { return agents.Finds(ctx, command) }
