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
