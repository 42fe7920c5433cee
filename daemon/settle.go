package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool/claude"
)

// settleLook is how often Settle looks at the agents and for a daemon, and
// settleNotice how long a service manager has to be patient after each look.
const (
	settleLook   = 200 * time.Millisecond
	settleNotice = 30 * time.Second
)

// SettleOptions says what Settle works on.
type SettleOptions struct {
	Paths   config.Paths
	Service Service

	// Hold keeps clients from starting a daemon until release is called, which is
	// nil when one is about to.
	Hold func() (release func(), err error)
}

// Settle is what is left to do for the agents of a daemon that is gone, when no
// other one follows: it waits while they finish their turns, and ends with their
// tools those that only their background work keeps, after orphan_grace, and those
// that have written nothing for orphan_timeout since it began. It takes as long at
// most, and returns how many agents still live then, or when ctx ends. Their answers stay in their spools: the next daemon settles the messages.
//
// It gives way to every daemon: it holds the lock for each look only, and while
// it ends one agent, and leaves as soon as somebody has a daemon or wants one.
func Settle(ctx context.Context, o SettleOptions) (left int, err error) {
	if _, err := os.Stat(o.Paths.Lock); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // there never was a daemon
	}
	cfg, err := config.Load(o.Paths)
	if err != nil {
		return 0, ipc.Errorf(ipc.CodeUsage, "%v", err)
	}
	s := settling{SettleOptions: o, cfg: cfg, begun: time.Now(), seen: map[string]*settlingAgent{}}
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
	cfg   *config.Config
	begun time.Time
	left  int
	errs  error     // of those that could not be ended
	told  time.Time // when the manager was last told

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
	release, err := s.Hold()
	if release == nil {
		return true, err
	}
	defer release()
	lock, err := acquireNow(s.Paths.Lock)
	if errors.Is(err, ErrRunning) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	defer lock.release()
	found, err := claude.Orphans(s.Paths.Spool)
	if err != nil {
		return true, fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	s.tell(len(found))
	over := time.Since(s.begun) >= s.cfg.OrphanTimeout
	agents := s.agents(found)
	if a := s.next(agents, over); a != nil {
		a.ended = true
		s.errs = errors.Join(s.errs, a.Stop(s.cfg.StopGrace))
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
			a.is(a.AtRest())
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
		rested := !a.rests.IsZero() && time.Since(a.rests) >= s.cfg.OrphanGrace
		if !a.ended && (rested || over && a.Written() == a.first) {
			return a
		}
	}
	return nil
}

// tell asks the manager for the time that the next looks take.
func (s *settling) tell(found int) {
	if found == 0 || time.Since(s.told) < settleNotice/3 {
		return
	}
	s.told = time.Now()
	s.Service.Tell(
		fmt.Sprintf("STATUS=%d agents finish their turns", found),
		extend(settleNotice+3*s.cfg.StopGrace),
	)
}
