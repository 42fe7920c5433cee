package conversation

import (
	"strings"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// KeyOf checks the names of a conversation and returns its key. A directory stands for
// the team that it belongs to, or for itself. The error is an *ipc.Error.
func KeyOf(cfg *config.Config, team, session string) (pool.Key, error) {
	if session != "" && !strings.HasPrefix(session, FreshPrefix) {
		if err := config.CheckName("session", session); err != nil {
			return pool.Key{}, fault.New(ipc.CodeUsage, "bad-name", err)
		}
	}
	t, err := cfg.Lookup(team)
	if err != nil {
		return pool.Key{}, fault.Team(err)
	}
	return pool.Key{Team: t.Name, Session: session}, nil
}
