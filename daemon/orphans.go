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

// awaitNotice is how much more time each notice asks the service manager for.
const awaitNotice = 30 * time.Second

// AwaitOptions is what AwaitOrphans needs.
type AwaitOptions struct {
	Paths   config.Paths
	Service Service

	// Hold keeps clients from starting a daemon until release is called. A nil release
	// means that a client is about to start one.
	Hold func() (release func(), err error)
}

// AwaitOrphans waits for the orphans of a daemon that is gone, when no other daemon follows. It
// ends, with its tools, an agent that only background work has kept for orphan_grace. After
// orphan_timeout it ends the agents that have written nothing since it began. It returns the
// number of agents that still live then, or when ctx ends. The answers stay in the spools:
// the next daemon settles the messages.
//
// AwaitOrphans gives way to a daemon: it holds the lock only for a look or while it ends one
// agent, and returns as soon as there is a daemon or a client wants one.
func AwaitOrphans(ctx context.Context, o AwaitOptions) (left int, err error) {
	if _, err := os.Stat(o.Paths.Lock); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // there never was a daemon
	}
	cfg, err := config.Load(o.Paths)
	if err != nil {
		return 0, ipc.Errorf(ipc.CodeUsage, "%v", err)
	}
	s := orphanWait{AwaitOptions: o, cfg: cfg}
	return agents.AwaitOrphans(ctx, agents.AwaitOptions{Config: cfg, Spool: o.Paths.Spool, Claim: s.claim, Tell: s.tell})
}

// orphanWait is one run of AwaitOrphans.
type orphanWait struct {
	AwaitOptions
	cfg  *config.Config
	told time.Time // when the manager last got a notice
}

// claim keeps clients from starting a daemon, and takes the lock, for one look. It waits for
// the lock of a daemon that does not answer.
func (s *orphanWait) claim() (release func(), err error) {
	unhold, err := s.Hold()
	if unhold == nil {
		return nil, err
	}
	lock, err := acquire(s.Paths.Lock) // a daemon that was just killed has it for a moment longer
	if err != nil {
		unhold()
		if errors.Is(err, ErrRunning) {
			err = nil
		}
		return nil, err
	}
	return func() { lock.release(); unhold() }, nil
}

// tell asks the manager for more time for the next looks.
func (s *orphanWait) tell(found int) {
	if found == 0 || time.Since(s.told) < awaitNotice/3 {
		return
	}
	s.told = time.Now()
	s.Service.Tell(
		fmt.Sprintf("STATUS=%d agents finish their turns", found),
		extend(awaitNotice+3*s.cfg.StopGrace),
	)
}
