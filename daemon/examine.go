package daemon

import (
	"context"

	"iris/config"
	"iris/daemon/agents"
	"iris/ipc"
)

// Examine looks at all teams as a daemon would that a command starts with these
// paths. It starts none, and asks the login shell.
func Examine(ctx context.Context, paths config.Paths) (ipc.Examination, error) {
	return agents.Examine(ctx, paths)
}
