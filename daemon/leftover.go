package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// orphanLook is how often a leftover agent is looked at for progress, at least.
const orphanLook = 10 * time.Second

// leftover is an agent of an earlier daemon; gone is closed when it has left and
// the message that it ran is settled.
type leftover struct {
	key pool.Key
	claude.Leftover
	gone    <-chan struct{}
	message *delivery // nil when it ran none
}

// killLeftovers ends those that match, with their tools, and returns them when
// what they ran is on record, or when ctx ends: a full disk may take long.
func (d *Daemon) killLeftovers(ctx context.Context, match func(pool.Key) bool) []pool.Process {
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
		select {
		case <-l.gone:
		case <-ctx.Done():
		}
		killed = append(killed, pool.Process{ID: l.Process, Key: l.key, PID: l.PID, State: pool.Stopping, Started: l.Progress()})
	}
	return killed
}

// findLeftovers lists the agents of an earlier daemon that still finish their
// turn, by process id, each with its conversation.
func (d *Daemon) findLeftovers() (map[string]*leftover, error) {
	found, err := claude.Leftovers(d.opts.Paths.Spool)
	if err != nil {
		return nil, fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	all := map[string]*leftover{}
	if len(found) == 0 {
		return all, nil
	}
	keys := map[string]pool.Key{}
	err = d.journal.Sessions(func(key string, s journal.Session) error {
		keys[s.ID] = recorded(key)
		return nil
	})
	if damage, ok := errors.AsType[*journal.DamageError](err); ok {
		d.log.Error("conversation passed over", "err", damage) // nobody can resume that one
	} else if err != nil {
		return nil, err
	}
	for _, l := range found {
		if _, ok := d.adopted[l.Process]; ok {
			continue
		}
		k, ok := keys[l.Session]
		if !ok { // a conversation for one message; what it ran says whose
			k = pool.Key{Team: "?", Session: freshPrefix + l.Session}
		}
		all[l.Process] = &leftover{key: k, Leftover: l}
	}
	return all, nil
}

// fence takes a place for a leftover and bars its conversation until it is gone
// and its message is settled: nobody else may resume what is still being
// written.
func (d *Daemon) fence(l *leftover) {
	d.log.Info("an agent of an earlier daemon finishes its turn", "team", l.key.Team, "session", l.key.Session, "process", l.Process, "pid", l.PID)
	gone := make(chan struct{})
	l.gone = gone
	d.pool.Fence(l.key, l.Process, l.PID, gone)
	d.leftovers = append(d.leftovers, *l)
	d.wg.Go(func() {
		defer close(gone)
		if !d.awaitLeftover(d.serving, l.Leftover) {
			return
		}
		select {
		case <-d.opened:
		case <-d.serving.Done():
			return
		}
		if l.message != nil {
			l.message.settleOrphan()
		}
		d.cleanSpools()
	})
}

// awaitLeftover returns true when the agent is gone; one that writes nothing for
// orphan_timeout is ended, with its tools. When this daemon ends first it
// leaves the agent to its turn and to the next daemon.
func (d *Daemon) awaitLeftover(ctx context.Context, l claude.Leftover) bool {
	seen, written := time.Now(), l.Written()
	for {
		due := time.Until(seen.Add(d.config.Load().OrphanTimeout))
		look, cancel := context.WithTimeout(ctx, min(orphanLook, due))
		err := l.Wait(look)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if n := l.Written(); n != written {
			seen, written = time.Now(), n
		}
		cfg := d.config.Load()
		if time.Since(seen) < cfg.OrphanTimeout {
			continue
		}
		d.log.Warn("a leftover agent makes no progress and is ended", "process", l.Process, "pid", l.PID)
		if err := l.Stop(cfg.StopGrace); err != nil {
			d.log.Error("leftover agent not ended", "process", l.Process, "pid", l.PID, "err", err)
		}
		seen = time.Now() // whatever came of it, not again at once
	}
}

// cleanSpools removes the files of processes that are gone, but those that a
// message may still have to be settled from.
func (d *Daemon) cleanSpools() {
	if err := claude.CleanSpools(d.opts.Paths.Spool, d.live.process); err != nil {
		d.log.Warn("spools of gone agents not all removed", "err", err)
	}
}
