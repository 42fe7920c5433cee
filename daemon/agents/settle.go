package agents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/config"
	"iris/pool/claude"
)

// settleLook is how often Settle looks at the agents and for a daemon.
const settleLook = 200 * time.Millisecond

// SettleOptions say what Settle works on.
type SettleOptions struct {
	Config *config.Config
	Spool  string // directory of the spools

	// Claim keeps every daemon away until release is called, which is nil when there is
	// or will be one.
	Claim func() (release func(), err error)

	Tell func(found int) // is told of each look, and how many agents live
}

// Settle waits for the agents of a daemon that is gone while no other one follows, and
// ends those that only background work keeps, or that write nothing. It returns how many
// live when it ends: after orphan_timeout, when ctx ends, or when there is a daemon.
func Settle(ctx context.Context, o SettleOptions) (left int, err error) {
	s := settling{SettleOptions: o, begun: time.Now(), seen: map[string]*settlingAgent{}}
	tick := time.NewTicker(settleLook)
	defer tick.Stop()
	for {
		done, err := s.look()
		if done {
			return s.left, err
		}
		select {
		case <-ctx.Done():
			return s.left, nil
		case <-tick.C:
		}
	}
}

// settling is one run of Settle.
type settling struct {
	SettleOptions
	begun time.Time
	left  int
	errs  error // of those that could not be ended

	seen map[string]*settlingAgent // by process
}

// settlingAgent is what settling knows of an agent.
type settlingAgent struct {
	claude.Orphan
	advance
	first int64 // how much it had written when it was first seen
	ended bool  // it was tried to end it
}

// look looks once. It is done when no agent is left, when the time is over, and
// when there is or will be a daemon: then none is left to us.
func (s *settling) look() (done bool, err error) {
	s.left = 0
	release, err := s.Claim()
	if release == nil {
		return true, err
	}
	defer release()
	found, err := claude.Orphans(s.Spool)
	if err != nil {
		return true, fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	s.Tell(len(found))
	over := time.Since(s.begun) >= s.Config.OrphanTimeout
	agents := s.agents(found)
	if a := s.next(agents, over); a != nil {
		a.ended = true
		s.errs = errors.Join(s.errs, a.Stop(s.Config.StopGrace))
		over = over && s.next(agents, over) == nil
	}
	for _, a := range agents {
		if a.Alive() {
			s.left++
		}
	}
	return over || s.left == 0, s.errs
}

// agents are those that were found, with what they have written since.
func (s *settling) agents(found []claude.Orphan) (all []*settlingAgent) {
	for _, l := range found {
		a := s.seen[l.Process]
		if a == nil {
			a = &settlingAgent{Orphan: l, advance: newAdvance(), first: l.Written()}
			s.seen[l.Process] = a
		}
		if a.look(&a.Orphan); a.unread {
			a.noteRest(a.AtRest())
		}
		all = append(all, a)
	}
	return all
}

// next is one that is to be ended: its turn has been over for orphan_grace, or,
// when the time is over, it has written nothing since it was first seen; nil when
// there is none.
func (s *settling) next(agents []*settlingAgent, over bool) *settlingAgent {
	for _, a := range agents {
		rested := !a.restingSince.IsZero() && time.Since(a.restingSince) >= s.Config.OrphanGrace
		if !a.ended && (rested || over && a.Written() == a.first) {
			return a
		}
	}
	return nil
}
