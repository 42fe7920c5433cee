package main

import (
	"context"
	"os"

	"iris/ipc"
)

// notByAgents refuses what an agent may not do and no daemon does: a command that
// changes the configuration by itself asks the daemon whose process it is. Without
// a daemon the mark tells that iris puts into the environment of agents.
func (g globals) notByAgents(ctx context.Context, what string) error {
	g.noStart, g.anyConfig = true, true
	var c ipc.Caller
	if err := g.call(ctx, ipc.MethodCaller, nil, &c); err != nil {
		c.Agent = os.Getenv("IRIS_PROCESS")
	}
	if c.Agent == "" {
		return nil
	}
	return usagef("run it in a shell of your own", "an agent may not %s, and this command was started by one", what)
}
