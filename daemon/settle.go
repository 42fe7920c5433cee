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
// tools those that have written nothing for orphan_timeout since it began. It
// takes as long at most, and returns how many agents still live then, or when ctx
// ends. Their answers stay in their spools: the next daemon settles the messages.
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
	s := settling{SettleOptions: o, cfg: cfg, begun: time.Now(), written: map[string]int64{}, ended: map[string]bool{}}
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
	errs  error           // of those that could not be ended
	told  time.Time       // when the manager was last told
	ended map[string]bool // by process: it was tried to end that

	written map[string]int64 // by process: how much it had written when it was first seen
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
	found, err := claude.Leftovers(s.Paths.Spool)
	if err != nil {
		return true, fmt.Errorf("look for agents of an earlier daemon: %w", err)
	}
	s.tell(len(found))
	for _, l := range found {
		if _, seen := s.written[l.Process]; !seen {
			s.written[l.Process] = l.Written()
		}
	}
	over := time.Since(s.begun) >= s.cfg.OrphanTimeout
	if l := s.silent(found); over && l != nil {
		s.ended[l.Process] = true
		s.errs = errors.Join(s.errs, l.Stop(s.cfg.StopGrace))
		over = s.silent(found) == nil
	}
	for _, l := range found {
		if l.Alive() {
			s.left++
		}
	}
	return over || s.left == 0, s.errs
}

// silent is one that has written nothing since it was first seen, and that is still to
// be ended; nil when there is none.
func (s *settling) silent(found []claude.Leftover) *claude.Leftover {
	for i, l := range found {
		if !s.ended[l.Process] && l.Written() == s.written[l.Process] {
			return &found[i]
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
