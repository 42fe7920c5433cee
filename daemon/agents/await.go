package agents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/config"
	"iris/pool/claude"
)

// awaitLook is how often AwaitOrphans looks at the agents and for a daemon.
const awaitLook = 200 * time.Millisecond

// AwaitOptions is what AwaitOrphans needs.
type AwaitOptions struct {
	Config *config.Config
	Spool  string // directory of the spools

	// Claim keeps other daemons from starting until release is called. A nil release means
	// that there is a daemon, or will be one.
	Claim func() (release func(), err error)

	Tell func(found int) // called at each look, with the number of live agents
}

// AwaitOrphans waits for the orphans of a daemon that is gone, while no other daemon follows. It
// ends agents that only background work keeps, and agents that write nothing. It returns
// the number of live agents after orphan_timeout, when ctx ends, or when there is a daemon.
func AwaitOrphans(ctx context.Context, o AwaitOptions) (left int, err error) {
	s := orphanWait{AwaitOptions: o, begun: time.Now(), seen: map[string]*awaitedAgent{}}
	tick := time.NewTicker(awaitLook)
	defer tick.Stop()
	for {
		done, err := s.look()
		if done {
			return s.left, err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if ctx.Err() != nil { // both may be due
			return s.left, nil
		}
	}
}

// orphanWait is one run of AwaitOrphans.
type orphanWait struct {
	AwaitOptions
	begun time.Time
	left  int
	errs  error // from agents that could not be ended

	seen map[string]*awaitedAgent // by process
}

// awaitedAgent is what orphanWait knows about an agent.
type awaitedAgent struct {
	claude.Orphan
	advance
	first int64 // size of its output when it was first seen
	ended bool  // Stop was called
}

// look looks at the agents once. It is done when no agent lives, when the time is over, or
// when there is or will be a daemon, which takes over the agents.
func (s *orphanWait) look() (done bool, err error) {
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
	for i := range found {
		found[i].Continue()
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

// agents updates what is known about the agents that were found.
func (s *orphanWait) agents(found []claude.Orphan) (all []*awaitedAgent) {
	for _, l := range found {
		a := s.seen[l.Process]
		if a == nil {
			a = &awaitedAgent{Orphan: l, advance: newAdvance(), first: l.Written()}
			s.seen[l.Process] = a
		}
		if a.look(&a.Orphan); a.unread {
			a.noteRest(a.AtRest())
		}
		all = append(all, a)
	}
	return all
}

// next returns an agent to be ended: its turn has been over for orphan_grace, or the time
// is over and it has written nothing since it was first seen. It returns nil if there is
// none.
func (s *orphanWait) next(agents []*awaitedAgent, over bool) *awaitedAgent {
	for _, a := range agents {
		rested := !a.restingSince.IsZero() && time.Since(a.restingSince) >= s.Config.OrphanGrace
		if !a.ended && (rested || over && a.Written() == a.first) {
			return a
		}
	}
	return nil
}
