package daemon

import (
	"strconv"
	"time"

	"iris/config"
	"iris/daemon/conversation"
	"iris/daemon/delivery"
	"iris/pool"
)

// newPrefix returns the beginning of the ids of a daemon's agents. It is short, and differs
// between the daemons of a machine.
func newPrefix(now time.Time) string {
	return strconv.FormatInt(now.UnixMilli()&(1<<32-1), 36)
}

// team returns a team by its name, or by its absolute directory.
func (d *Daemon) team(name string) (*config.Team, error) {
	return d.config.Load().Lookup(name)
}

// key is conversation.KeyOf with the current configuration.
func (d *Daemon) key(team, session string) (pool.Key, error) {
	return conversation.KeyOf(d.config.Load(), team, session)
}

// settings returns what the pool needs to know about a team. The pool calls it under its
// lock, so it does not read the disk: a team that is only a directory, or was just removed,
// has the settings of the top level.
func (d *Daemon) settings(team string) pool.Settings {
	cfg := d.config.Load()
	t, budget := &cfg.Settings, config.Budget{}
	named, ok := cfg.Teams[team]
	if ok {
		t, budget = &named.Settings, named.Budget
	}
	return pool.Settings{
		IdleTimeout:    t.IdleTimeout,
		StallTimeout:   t.StallTimeout,
		StallInterrupt: t.OnStall == "interrupt",
		QueueLimit:     t.QueueLimit,
		MaxMessages:    t.MaxMessagesPerAgent,
		MaxMemory:      t.MaxMemory,
		Budget:         delivery.BudgetOf(budget),
		BudgetFail:     t.OnBudget == "fail",
		SpareBelow:     t.SpareBelow,
		Size:           usualSize(named),
	}
}

func limits(cfg *config.Config) pool.Limits {
	return pool.Limits{
		MaxProcesses:        cfg.MaxProcesses,
		WhenFull:            pool.WhenFull(cfg.WhenFull),
		FairWait:            cfg.FairWait,
		HealthCheckInterval: cfg.HealthCheckInterval,
		MaxMemoryTotal:      memoryLimit(cfg),
		Budget:              delivery.BudgetOf(cfg.Budget),
	}
}
