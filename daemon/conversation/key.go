package conversation

import (
	"fmt"
	"strings"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// KeyOf checks the names of a conversation and returns its key. A directory stands for
// the team that it belongs to, or for itself. The error is an *ipc.Error.
func KeyOf(cfg *config.Config, team, session string) (pool.Key, error) {
	if err := CheckSession(session); err != nil {
		return pool.Key{}, err
	}
	t, err := cfg.Lookup(team)
	if err != nil {
		return pool.Key{}, fault.Team(err)
	}
	return pool.Key{Team: t.Name, Session: session}, nil
}

// CheckSession checks the name of a session: a name that a user may give, none, or that of
// the conversation of a single message. The error is an *ipc.Error.
func CheckSession(name string) error {
	id, fresh := strings.CutPrefix(name, FreshPrefix)
	_, isID := ipc.ParseID(id)
	if name == "" || fresh && isID {
		return nil
	}
	if err := config.CheckName("session", name); err != nil {
		return fault.New(ipc.CodeUsage, "bad-name", err)
	}
	return nil
}

// CheckLasting refuses the conversation of a single message. The error is an *ipc.Error.
func CheckLasting(k pool.Key) error {
	if IsFresh(k) {
		return fault.New(ipc.CodeUsage, "bad-name", fmt.Errorf("session %q belongs to a single message and takes no other", k.Session))
	}
	return nil
}
