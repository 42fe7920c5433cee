package daemon

import (
	"context"
	"fmt"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// orphanLook is how often a leftover agent is looked at for progress.
const orphanLook = 10 * time.Second

// leftover is an agent of an earlier daemon; gone is closed when it has left.
type leftover struct {
	key pool.Key
	claude.Leftover
	gone <-chan struct{}
}

// killLeftovers ends those that match, with their tools, and returns them.
func (d *Daemon) killLeftovers(match func(pool.Key) bool) []pool.Process {
	var killed []pool.Process
	for _, l := range d.leftovers {
		select {
		case <-l.gone:
			continue
		default:
		}
		if !match(l.key) {
			continue
		}
		if err := l.Stop(d.config.Load().StopGrace); err != nil {
			d.log.Error("leftover agent not ended", "process", l.Process, "pid", l.PID, "err", err)
			continue
		}
		<-l.gone
		killed = append(killed, pool.Process{ID: l.Process, Key: l.key, PID: l.PID, State: pool.Stopping, Started: l.Progress()})
	}
	return killed
}

// fenceLeftovers finds the agents of an earlier daemon that still finish their
// turn. They count against the bound, and their conversations wait, until they
// are gone: nobody else may resume a session that is still being written.
func (d *Daemon) fenceLeftovers() error {
	left, err := claude.Leftovers(d.opts.Paths.Spool)
	if err != nil {
		return fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	if len(left) > 0 {
		if err := d.fence(left); err != nil {
			return err
		}
	}
	d.cleanSpools()
	return nil
}

// cleanSpools removes the files of processes that are gone.
func (d *Daemon) cleanSpools() {
	if err := claude.CleanSpools(d.opts.Paths.Spool, nil); err != nil {
		d.log.Warn("spools of gone agents not all removed", "err", err)
	}
}

func (d *Daemon) fence(left []claude.Leftover) error {
	keys := map[string]pool.Key{}
	err := d.journal.Sessions(func(key string, s journal.Session) error {
		keys[s.ID] = recorded(key)
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range left {
		k, ok := keys[l.Session]
		if !ok { // a conversation for one message
			k = pool.Key{Team: "?", Session: freshPrefix + l.Session}
		}
		d.log.Info("an agent of an earlier daemon finishes its turn", "team", k.Team, "session", k.Session, "process", l.Process, "pid", l.PID)
		gone := make(chan struct{})
		d.pool.Fence(k, l.Process, l.PID, gone)
		d.leftovers = append(d.leftovers, leftover{k, l, gone})
		d.wg.Go(func() {
			defer close(gone)
			d.awaitLeftover(d.serving, l)
			d.cleanSpools()
		})
	}
	return nil
}

// awaitLeftover returns when the agent is gone; one that writes nothing for
// orphan_timeout is ended, with its tools. When this daemon ends first it
// leaves the agent to its turn and to the next daemon.
func (d *Daemon) awaitLeftover(ctx context.Context, l claude.Leftover) {
	seen := time.Now()
	for {
		look, cancel := context.WithTimeout(ctx, orphanLook)
		err := l.Wait(look)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if p := l.Progress(); p.After(seen) {
			seen = p
		}
		cfg := d.config.Load()
		if time.Since(seen) < cfg.OrphanTimeout {
			continue
		}
		d.log.Warn("a leftover agent makes no progress and is ended", "process", l.Process, "pid", l.PID)
		if err := l.Stop(cfg.StopGrace); err != nil {
			d.log.Error("leftover agent not ended", "process", l.Process, "pid", l.PID, "err", err)
			seen = time.Now()
		}
	}
}
