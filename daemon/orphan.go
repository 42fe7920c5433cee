package daemon

import (
	"context"
	"errors"
	"fmt"

	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// orphanAgent is an agent of an earlier daemon; gone is closed when it has left and
// the message that it ran is settled.
type orphanAgent struct {
	key pool.Key
	claude.Orphan
	gone    <-chan struct{}
	message *delivery // nil when it ran none
}

// killLeftovers ends those that match, with their tools, and returns them when
// what they ran is on record, or when ctx ends: a full disk may take long.
func (d *Daemon) killOrphans(ctx context.Context, match func(pool.Key) bool) []process {
	var killed []process
	for _, l := range d.agents.orphans {
		select {
		case <-l.gone:
			continue
		default:
		}
		if !match(l.key) {
			continue
		}
		if err := l.Stop(d.config.Load().StopGrace); err != nil {
			d.log.Error("orphan not ended", "process", l.Process, "pid", l.PID, "err", err)
			continue
		}
		select {
		case <-l.gone:
		case <-ctx.Done():
		}
		info := pool.Info{ID: l.Process, Key: l.key, PID: l.PID, State: pool.Stopping, Started: l.Progress()}
		killed = append(killed, process{Info: info})
	}
	return killed
}

// findLeftovers lists the agents of an earlier daemon that still finish their
// turn, by process id, each with its conversation.
func (d *Daemon) findOrphans() (map[string]*orphanAgent, error) {
	found, err := claude.Orphans(d.opts.Paths.Spool)
	if err != nil {
		return nil, fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	all := map[string]*orphanAgent{}
	if len(found) == 0 {
		return all, nil
	}
	keys := map[string]pool.Key{}
	err = d.conversations.List(func(k pool.Key, s journal.Session) error {
		keys[s.ID] = k
		return nil
	})
	if damage, ok := errors.AsType[*journal.DamageError](err); ok {
		d.log.Error("conversation passed over", "err", damage) // nobody can resume that one
	} else if err != nil {
		return nil, err
	}
	for _, l := range found {
		if _, ok := d.agents.adopted[l.Process]; ok {
			continue
		}
		k, ok := keys[l.Session]
		if !ok {
			k, ok = keys[l.Moved()]
		}
		if !ok { // a conversation for one message; what it ran says whose
			k = pool.Key{Team: "?", Session: conversation.FreshPrefix + l.Session}
		}
		all[l.Process] = &orphanAgent{key: k, Orphan: l}
	}
	return all, nil
}

// fence takes a place for an orphan and bars its conversation until it is gone
// and its message is settled: nobody else may resume what is still being
// written.
func (d *Daemon) fence(l *orphanAgent) {
	d.log.Info("an agent of an earlier daemon finishes its turn", "team", l.key.Team, "session", l.key.Session, "process", l.Process, "pid", l.PID)
	gone := make(chan struct{})
	l.gone = gone
	d.pool.AddOrphan(l.key, l.Process, l.PID, gone)
	d.agents.orphans = append(d.agents.orphans, *l)
	w := orphanWatch{d: d, orphanAgent: *l, advance: newAdvance()}
	d.life.wg.Go(func() {
		defer close(gone)
		select {
		case <-d.life.opened:
		case <-d.life.serving.Done():
			return
		}
		if !w.attend(d.life.serving) {
			return
		}
		if w.message != nil && !w.settled {
			w.message.settleOrphan()
		} else {
			w.tellOwn()
		}
		d.cleanSpools()
	})
}

// cleanSpools removes the files of processes that are gone, but those that a
// message may still have to be settled from.
func (d *Daemon) cleanSpools() {
	if err := claude.CleanSpools(d.opts.Paths.Spool, d.inflight.live.process); err != nil {
		d.log.Warn("spools of gone agents not all removed", "err", err)
	}
}
