package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"iris/config"
	"iris/daemon/agents"
	"iris/ipc"
)

// settleNotice is how long a service manager has to be patient after each look.
const settleNotice = 30 * time.Second

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
	s := settling{SettleOptions: o, cfg: cfg}
	return agents.Settle(ctx, agents.SettleOptions{Config: cfg, Spool: o.Paths.Spool, Claim: s.claim, Tell: s.tell})
}

// settling is one run of Settle.
type settling struct {
	SettleOptions
	cfg  *config.Config
	told time.Time // when the manager was last told
}

// claim keeps clients from starting a daemon and takes the lock, for one look.
func (s *settling) claim() (release func(), err error) {
	unhold, err := s.Hold()
	if unhold == nil {
		return nil, err
	}
	lock, err := acquireNow(s.Paths.Lock)
	if err != nil {
		unhold()
		if errors.Is(err, ErrRunning) {
			err = nil
		}
		return nil, err
	}
	return func() { lock.release(); unhold() }, nil
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
