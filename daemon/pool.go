package daemon

import (
	"strconv"
	"time"

	"iris/config"
	"iris/daemon/conversation"
	"iris/pool"
)

// newPrefix begins the ids of this daemon's processes: short, and another one
// for each daemon of a machine.
func newPrefix(now time.Time) string {
	return strconv.FormatInt(now.UnixMilli()&(1<<32-1), 36)
}

// team returns a team by its name, or by its absolute directory.
func (d *Daemon) team(name string) (*config.Team, error) {
	return d.config.Load().Lookup(name)
}

// key is conversation.KeyOf by the configuration as it is now.
func (d *Daemon) key(team, session string) (pool.Key, error) {
	return conversation.KeyOf(d.config.Load(), team, session)
}

// settings is what the pool needs to know of a team. It is called under the
// pool's lock, so it does not look at the disk: a team that is only a directory
// has the settings of the top level, and so has one that was just removed.
func (d *Daemon) settings(team string) pool.Settings {
	cfg := d.config.Load()
	t := &cfg.Settings
	if named, ok := cfg.Teams[team]; ok {
		t = &named.Settings
	}
	return pool.Settings{
		IdleTimeout:    t.IdleTimeout,
		StallTimeout:   t.StallTimeout,
		StallInterrupt: t.OnStall == "interrupt",
		QueueLimit:     t.QueueLimit,
		MaxTurns:       t.MaxTurns,
		MaxMemory:      t.MaxMemory,
	}
}

func limits(cfg *config.Config) pool.Limits {
	return pool.Limits{
		MaxProcesses:        cfg.MaxProcesses,
		WhenFull:            pool.WhenFull(cfg.WhenFull),
		FairWait:            cfg.FairWait,
		HealthCheckInterval: cfg.HealthCheckInterval,
	}
}
