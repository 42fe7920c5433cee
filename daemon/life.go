package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// life is the lifetime of a daemon, and of all that it has started.
type life struct {
	closers []func()       // run last to first at the end
	wg      sync.WaitGroup // every goroutine of this package

	serving    context.Context // ends when the socket shall be closed
	force      context.Context // ends when draining shall end at once
	quit       context.CancelFunc
	forceNow   context.CancelFunc
	endServing context.CancelFunc

	opened    chan struct{} // closed when everything is up
	draining  chan struct{} // closed when the daemon is to end
	gone      chan struct{} // closed when the last agent is
	turnsLeft chan struct{} // closed when running turns have been left

	tidy *time.Timer // gives memory back a while after the last large text

	leaveTurns   atomic.Bool // running turns are left to their agents
	hasSuccessor atomic.Bool // another daemon follows at once: waiting clients come back to it
}

// atEnd registers what end does, last first.
func (d *Daemon) atEnd(f func()) { d.life.closers = append(d.life.closers, f) }

func (d *Daemon) end() {
	d.life.quit()
	d.life.forceNow()
	d.store.StopWaiting()
	d.life.endServing()
	for i := len(d.life.closers) - 1; i >= 0; i-- {
		d.life.closers[i]()
	}
}

// drain refuses new messages, gives the running turns until drain_timeout or
// the second signal, and stops every agent; or leaves those that still run to
// themselves: their input ends with this process, and they with their turn.
func (d *Daemon) drain() {
	cfg := d.config.Load()
	d.log.Info("stopping", "drain_timeout", cfg.DrainTimeout.String())
	ctx, cancel := context.WithTimeout(d.life.force, cfg.DrainTimeout)
	defer cancel()
	d.pool.Drain(ctx)
	d.store.StopWaiting()
	leave := d.life.leaveTurns.Load() || cfg.LeaveTurns || d.store.Fatal() != nil // their ends cannot be recorded here
	if leave && d.pool.Busy() {
		d.log.Info("running turns are left to their agents and the next daemon")
		close(d.life.turnsLeft)
		return
	}
	d.pool.Close()
}

// closeAgents ends what drives the agents, unless they were left.
func (d *Daemon) closeAgents(f func()) func() {
	return func() {
		select {
		case <-d.life.turnsLeft:
		default:
			f()
		}
	}
}
