package agents

import (
	"context"
	"errors"
	"fmt"

	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// An Orphan is an agent of an earlier daemon that still lives.
type Orphan struct {
	claude.Orphan
	Key pool.Key

	// The message that it runs.
	Turn   *journal.Attempt // nil if it runs none
	Settle func()           // records how the turn ended; called once

	gone <-chan struct{} // closed when it is gone and its message is settled
}

// killOrphans ends the matching orphans with their tools. It returns them when the ends of
// their messages are on record, which may take long on a full disk, or when ctx ends.
func (s *Supervisor) killOrphans(ctx context.Context, match func(pool.Key) bool) []Info {
	var killed []Info
	for _, l := range s.orphans {
		select {
		case <-l.gone:
			continue
		default:
		}
		if !match(l.Key) {
			continue
		}
		if err := l.Stop(s.o.Config().StopGrace); err != nil {
			s.o.Log.Error("orphan not ended", "process", l.Process, "pid", l.PID, "err", err)
			continue
		}
		select {
		case <-l.gone:
		case <-ctx.Done():
		}
		info := pool.Info{ID: l.Process, Key: l.Key, PID: l.PID, State: pool.Stopping, Started: l.Progress()}
		killed = append(killed, Info{Info: info})
	}
	return killed
}

// FindOrphans returns the orphans by process id, each with its conversation.
func (s *Supervisor) FindOrphans() (map[string]*Orphan, error) {
	found, err := claude.Orphans(s.o.Paths.Spool)
	if err != nil {
		return nil, fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	all := map[string]*Orphan{}
	if len(found) == 0 {
		return all, nil
	}
	keys := map[string]pool.Key{}
	err = s.o.Conversations.List(func(k pool.Key, recorded journal.Session) error {
		keys[recorded.ID] = k
		return nil
	})
	if damage, ok := errors.AsType[*journal.DamageError](err); ok {
		s.o.Log.Error("conversation passed over", "err", damage) // no agent can resume that conversation
	} else if err != nil {
		return nil, err
	}
	for _, l := range found {
		if _, ok := s.adopted[l.Process]; ok {
			continue
		}
		l.Continue()
		k, ok := keys[l.Session]
		if !ok {
			k, ok = keys[l.Moved()]
		}
		if !ok { // a conversation for one message; recoverRunning sets its key
			k = pool.Key{Team: "?", Session: conversation.FreshPrefix + l.Session}
		}
		all[l.Process] = &Orphan{Key: k, Orphan: l}
	}
	return all, nil
}

// WatchOrphan gives an orphan a slot and watches it until it is gone and its message is
// settled. Until then no other agent gets its conversation, which the orphan still writes.
func (s *Supervisor) WatchOrphan(l *Orphan) {
	s.o.Log.Info("an agent of an earlier daemon finishes its turn", "team", l.Key.Team, "session", l.Key.Session, "process", l.Process, "pid", l.PID)
	gone := make(chan struct{})
	l.gone = gone
	s.Pool.AddOrphan(l.Key, l.Process, l.PID, gone)
	s.orphans = append(s.orphans, *l)
	w := orphanWatch{s: s, Orphan: *l, advance: newAdvance()}
	s.o.Goroutines.Go(func() {
		defer close(gone)
		select {
		case <-s.o.Opened:
		case <-s.o.Serving.Done():
			return
		}
		if !w.run(s.o.Serving) {
			return
		}
		if w.Turn != nil && !w.settled {
			w.Settle()
		} else {
			w.tellOwn()
		}
		s.CleanSpools()
	})
}

// CleanSpools removes the files of processes that are gone, except those that may still be
// needed to settle a message.
func (s *Supervisor) CleanSpools() {
	if err := claude.CleanSpools(s.o.Paths.Spool, s.o.NeedsSpool); err != nil {
		s.o.Log.Warn("spools of gone agents not all removed", "err", err)
	}
}

// ReadSpool returns the evidence about a turn in the spool of an orphan; over is set if the
// turn is over, even if the agent still lives.
func (s *Supervisor) ReadSpool(a *journal.Attempt) (ev claude.Evidence, over bool, err error) {
	ev, err = claude.ReadOutcome(s.o.Paths.Spool, a.Process, a.Offset, a.UUID, a.NoWait)
	return ev, err == nil && ev.Result != nil, err
}
