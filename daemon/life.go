package daemon

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// life holds the lifetimes of a daemon and of its goroutines.
type life struct {
	closers []func()       // run at the end, the last first
	wg      sync.WaitGroup // every goroutine of this package

	serving    context.Context // ends when the socket is to be closed
	force      context.Context // ends when draining is to end at once
	quit       context.CancelFunc
	forceNow   context.CancelFunc
	endServing context.CancelFunc

	quits chan os.Signal // each SIGQUIT, for watchSignals

	opened    chan struct{} // closed when the daemon is up
	draining  chan struct{} // closed when the daemon is to stop
	gone      chan struct{} // closed when all agents are gone
	turnsLeft chan struct{} // closed when running turns are left to their agents

	tidy *time.Timer // gives memory back tidyAfter the last large text

	leaveTurns   atomic.Bool // at the end, leave running turns to their agents
	hasSuccessor atomic.Bool // another daemon follows at once: waiting clients reconnect to it
}

// atEnd registers a function that end calls, the last first.
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

// drain refuses new messages and lets running turns end until drain_timeout or the second
// signal. Then it stops every agent, or leaves the running turns to their agents, which
// lose their input when this process ends and exit after their turns.
func (d *Daemon) drain() {
	cfg := d.config.Load()
	d.log.Info("stopping", "drain_timeout", cfg.DrainTimeout.String())
	ctx, cancel := context.WithTimeout(d.life.force, cfg.DrainTimeout)
	defer cancel()
	d.pool.Drain(ctx)
	d.store.StopWaiting()
	leave := d.life.leaveTurns.Load() || cfg.LeaveTurns || d.store.Fatal() != nil // with a fatal error their ends cannot be recorded
	if leave && d.pool.Busy() {
		d.log.Info("running turns are left to their agents and the next daemon")
		close(d.life.turnsLeft)
		return
	}
	d.pool.Close()
}

// closeAgents returns a function that calls f, unless running turns were left to their
// agents.
func (d *Daemon) closeAgents(f func()) func() {
	return func() {
		select {
		case <-d.life.turnsLeft:
		default:
			f()
		}
	}
}
