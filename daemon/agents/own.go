package agents

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

// ownWork is what the daemon knows about turns that nobody sent.
type ownWork struct {
	turns atomic.Int64
	costs atomic.Int64 // millionths of a dollar

	mu    sync.Mutex
	early map[string]string // what adopted agents work on; nil once the pool is restored

	recording sync.Mutex
	waiting   []journal.Own // not on record yet
}

// maxOwnWaiting bounds the own turns that wait while the disk is full.
const maxOwnWaiting = 10_000

// adopting makes works keep its reports until adopted is called.
func (o *ownWork) adopting() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.early = map[string]string{}
}

// adopted restores the pool, and passes it the reports of its agents until now.
func (o *ownWork) adopted(restore func(), works func(process, on string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	restore()
	for id, on := range o.early {
		works(id, on)
	}
	o.early = nil
}

// OwnTotals returns the number of turns that nobody sent, and their cost in millionths of a
// dollar.
func (s *Supervisor) OwnTotals() (turns, costs int64) { return s.own.turns.Load(), s.own.costs.Load() }

// works is called with what an agent works on by itself; empty when that is over.
func (s *Supervisor) works(process, on string) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if s.own.early != nil {
		s.own.early[process] = on
		return
	}
	s.Pool.Works(process, on)
}

// OwnTurn is called at the end of a turn that nobody sent.
func (s *Supervisor) OwnTurn(k pool.Key, process string, t *claude.OwnTurn) {
	origin := ipc.Clip(cmp.Or(t.Origin, "unnamed"), 64)
	outcome := ""
	if t.Err != "" {
		outcome = "failed, "
	}
	s.own.turns.Add(1)
	s.own.costs.Add(int64(t.CostUSD*1e6 + 0.5))
	s.Pool.Spend(k.Team, turn.Dollars(t.CostUSD))
	s.Pool.OwnTurn(process, fmt.Sprintf("%s: %s$%.4f", origin, outcome, t.CostUSD))
	s.RecordOwn(journal.Own{
		At: t.At, Team: k.Team, Session: k.Session, Process: process, Origin: origin, Model: t.Model,
		CostUSD: t.CostUSD, Usage: t.Usage,
	})
}

// RecordOwn records turns that nobody sent. Turns for which the disk has no space wait for
// the next call.
func (s *Supervisor) RecordOwn(more ...journal.Own) {
	o := &s.own
	o.recording.Lock()
	defer o.recording.Unlock()
	o.waiting = append(o.waiting, more...)
	for len(o.waiting) > 0 {
		err := s.o.Store.Heed(s.o.Store.RecordOwn(o.waiting[0]))
		if stopped, ok := errors.AsType[*journal.StoppedError](err); ok && stopped.Full && len(o.waiting) < maxOwnWaiting {
			return
		}
		if err != nil {
			s.o.Log.Error("turn not recorded", "team", o.waiting[0].Team, "origin", o.waiting[0].Origin, "err", err)
		}
		o.waiting = slices.Delete(o.waiting, 0, 1)
	}
}
