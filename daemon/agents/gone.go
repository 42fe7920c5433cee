package agents

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

const (
	gonePause      = time.Second // so that agents that go together are recorded together
	maxGoneWaiting = 1000        // agents that wait while the disk is full
	maxWhy         = 300         // bytes of a reason, which may quote an agent
)

// goneAgents are the agents that are gone and not on record yet. A daemon that dies takes
// them with it.
type goneAgents struct {
	recording sync.Mutex // taken before mu

	mu      sync.Mutex // the pool's lock may be held
	waiting []journal.AgentEnd
	news    chan struct{} // has one element if agents wait
}

// Gone is the pool's Gone. An agent that was started for a single message is not kept: it
// always goes after the message.
func (s *Supervisor) Gone(g pool.Gone) {
	if conversation.IsFresh(g.Key) {
		return
	}
	s.gone.add(journal.AgentEnd{
		Team: g.Key.Team, Session: g.Key.Session, Process: g.ID, PID: g.PID,
		Started: g.Started, Ready: g.Ready, Ended: g.Ended, Why: ipc.Clip(g.Why, maxWhy), Turns: g.Messages, Own: g.Own,
	})
	select {
	case s.gone.news <- struct{}{}:
	default:
	}
}

// add adds ends, and drops the first of too many.
func (g *goneAgents) add(ends ...journal.AgentEnd) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, ends...)
	if n := len(g.waiting) - maxGoneWaiting; n > 0 {
		g.waiting = g.waiting[n:]
	}
}

// take returns the waiting ends, which wait no more.
func (g *goneAgents) take() []journal.AgentEnd {
	g.mu.Lock()
	defer g.mu.Unlock()
	ends := g.waiting
	g.waiting = nil
	return ends
}

// KeepGone records the agents that are gone, a moment later, until ctx ends. No turn and no
// start waits for that.
func (s *Supervisor) KeepGone(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.gone.news:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gonePause):
			s.RecordGone()
		}
	}
}

// RecordGone records the agents that are gone. Those for which the disk has no space wait
// for the next call.
func (s *Supervisor) RecordGone() {
	s.gone.recording.Lock()
	defer s.gone.recording.Unlock()
	ends := s.gone.take()
	if len(ends) == 0 {
		return
	}
	err := s.o.Store.Heed(s.o.Store.RecordAgentEnds(ends...))
	if stopped, ok := errors.AsType[*journal.StoppedError](err); ok && stopped.Full {
		s.gone.add(ends...)
	} else if err != nil {
		s.o.Log.Error("agents that are gone not recorded", "agents", len(ends), "err", err)
	}
}

// GoneView returns an agent that is gone in the form that clients see.
func GoneView(e *journal.AgentEnd) ipc.GoneAgent {
	return ipc.GoneAgent{
		ID: e.Process, PID: e.PID, Team: e.Team, Session: e.Session, Started: e.Started,
		Start: max(0, e.Ready.Sub(e.Started).Milliseconds()), Ended: e.Ended, Messages: e.Turns, Own: e.Own, Why: e.Why,
	}
}

// goneSince returns the agents that went since then, the last first, and the names of
// damaged records.
func (s *Supervisor) goneSince(ctx context.Context, since time.Time) (gone []ipc.GoneAgent, damaged []string, err error) {
	s.RecordGone()
	for e, err := range s.o.Store.AgentEnds(journal.Filter{Since: since}) {
		if damage, ok := errors.AsType[*journal.DamageError](err); ok {
			damaged = append(damaged, damage.Error())
			continue
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			return nil, nil, fault.New(ipc.CodeFailed, "journal", s.o.Store.Heed(err))
		}
		gone = append(gone, GoneView(&e))
	}
	slices.SortStableFunc(gone, func(a, b ipc.GoneAgent) int { return b.Ended.Compare(a.Ended) })
	return gone, damaged, nil
}
