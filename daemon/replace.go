package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool/claude"
)

// swap passes a request to replace the program from the call to the serving goroutine.
type swap struct {
	mu       sync.Mutex       // held by the call that requests it
	requests chan replacement // served by Daemon.serve
}

const (
	quiesceTimeout = 10 * time.Second // longest wait for running operations to end
	pauseRetry     = 5 * time.Millisecond
)

// A replacement is a request to replace the program of this process.
//
//	replaceCall   try            the new program runs, and reads configuration and journal
//	replace       quiesce     the pool begins nothing; the waiting messages are on record
//	              canPause       a first try pauses all agents, and lets them go on
//	              closeAcceptor     no connections; new ones wait in the queue of the socket
//	              pauseAgents    no agent is read or written to; no turn ends
//	              journal.Close  from here on nothing can be undone
//	              execute        the new program gets the state and the open descriptors
//	recover       in the new program: first the agents, then the messages
//
// If a step fails before the journal is closed, the steps before it are undone. After that
// the daemon ends and leaves the turns to their agents, as after a crash.
type replacement struct {
	program *candidate // replace closes it
	refused chan error // buffers one
}

// replaceCall handles daemon.restart. It answers only if the old program stays: otherwise
// the connection is cut off.
func (d *Daemon) replaceCall(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Restart
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if !canReplace || len(d.opts.Args) == 0 {
		return nil, fault.New(ipc.CodeFailed, "unsupported", errors.New("a running daemon cannot be replaced here"))
	}
	if !d.swap.mu.TryLock() {
		return nil, fault.New(ipc.CodeFull, "restarting", errors.New("the daemon is being restarted already"))
	}
	defer d.swap.mu.Unlock()
	d.log.Info("restart asked for", "peer", c.Peer.PID, "program", p.Program)
	if !filepath.IsAbs(p.Program) {
		return nil, d.notReplaced(fmt.Errorf("program %q: the path must be absolute", p.Program))
	}
	program, err := openCandidate(p.Program)
	if err != nil {
		return nil, d.notReplaced(err)
	}
	if err := d.try(ctx, program); err != nil {
		program.close()
		return nil, d.notTried(err)
	}
	r := replacement{program: program, refused: make(chan error, 1)}
	select {
	case d.swap.requests <- r:
	case <-d.life.draining:
		program.close()
		return nil, fault.New(ipc.CodeFull, "stopping", errors.New("the daemon is stopping"))
	case <-ctx.Done():
		program.close()
		return nil, ctx.Err()
	}
	select {
	case err := <-r.refused:
		return nil, d.notReplaced(err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// notReplaced is the error for the client when the old program stays.
func (d *Daemon) notReplaced(err error) error {
	d.log.Error("not restarted", "err", err)
	return fault.New(ipc.CodeFailed, "not-restarted", fmt.Errorf("the running daemon stays: %w", err))
}

// notTried is notReplaced after a trial that has failed. If the cause is the configuration,
// the error has its mistakes, of which the trial has said only the first.
func (d *Daemon) notTried(err error) error {
	_, mistakes := config.Load(d.opts.Paths, d.opts.Overrides...)
	if mistakes == nil {
		return d.notReplaced(err)
	}
	d.log.Error("not restarted", "err", mistakes)
	return fault.New(ipc.CodeUsage, "bad-configuration", fmt.Errorf("the running daemon stays: %w", mistakes))
}

// replace replaces the program of this process. It returns only if that fails. With a nil
// error the daemon is in service as before, otherwise it must end.
func (d *Daemon) replace(ctx context.Context, r replacement) error {
	defer r.program.close()
	begun := time.Now()
	d.notify.Pause() // the next program would not know of a command that runs
	err := r.program.check()
	if err == nil {
		err = d.quiesce(ctx)
	}
	if err == nil {
		err = d.canPause(ctx)
	}
	if err != nil {
		d.unfreeze()
		r.refused <- err
		return nil
	}
	socket, err := d.closeAcceptor()
	if err == nil {
		err = d.quiesce(ctx) // a call may have begun something meanwhile
	}
	var h *Handoff
	if err == nil {
		h, err = d.pauseAgents(ctx)
	}
	if err != nil {
		d.log.Error("not restarted", "err", err)
		d.reopenAcceptor(ctx, socket)
		d.unfreeze()
		r.refused <- err // if the client was not cut off
		return nil
	}
	d.log.Info("replaced", "program", r.program.path, "agents", len(h.Agents), "took", time.Since(begun).String())
	h.Socket = socket
	d.agents.RecordOwn()
	d.agents.RecordGone()
	if err = d.store.Close(); err == nil {
		h.Quit = ctx.Err() != nil
		err = execute(r.program, d.opts.Args, h)
	}
	return fmt.Errorf("replace the program by %s: %w", r.program.path, err)
}

// quiesce returns when the pool begins nothing more, only turns run in it, and all waiting
// messages are on record.
func (d *Daemon) quiesce(ctx context.Context) error {
	if why := d.store.WaitsFor(); why != "" {
		return errors.New(why)
	}
	ctx, cancel := context.WithTimeout(ctx, quiesceTimeout)
	defer cancel()
	if err := d.pool.Freeze(ctx); err != nil {
		return err
	}
	return d.delivery.PersistQueued(ctx, d.pool.Snapshot().Waiting)
}

// unfreeze undoes quiesce, and the pause of notify commands.
func (d *Daemon) unfreeze() {
	d.pool.Thaw()
	d.notify.Resume()
}

// acceptor serves the socket. It ends before the rest of the daemon.
type acceptor struct {
	endWatch context.CancelFunc
	watcher  sync.WaitGroup // watchSocket

	conns    context.Context // ends the connections
	endConns context.CancelFunc
	served   sync.WaitGroup
}

// openAcceptor serves a listener.
func (d *Daemon) openAcceptor(ctx context.Context, l *ipc.Listener) {
	d.socket.acceptor.conns, d.socket.acceptor.endConns = context.WithCancel(d.life.serving)
	d.listen(l)
	d.watch(ctx)
}

// watch watches the socket.
func (d *Daemon) watch(ctx context.Context) {
	ctx, d.socket.acceptor.endWatch = context.WithCancel(ctx)
	d.socket.acceptor.watcher.Go(func() { d.watchSocket(ctx) })
}

// closeAcceptor cuts off every connection and returns when no call runs any more. The socket
// stays, and new connections wait in its queue.
func (d *Daemon) closeAcceptor() (ipc.Handed, error) {
	f := &d.socket.acceptor
	f.endWatch()
	f.watcher.Wait() // from here on only this goroutine changes d.socket.listener
	socket, err := d.socket.listener.HandOver()
	if err != nil {
		return socket, err
	}
	d.socket.listener.Close() // first, so that a client that reconnects reaches the next program
	f.endConns()
	gone := make(chan struct{})
	d.life.wg.Go(func() {
		f.served.Wait()
		close(gone)
	})
	select {
	case <-gone:
		return socket, nil
	case <-time.After(quiesceTimeout):
		return socket, fmt.Errorf("a call does not end within %v", quiesceTimeout)
	}
}

// reopenAcceptor undoes closeAcceptor.
func (d *Daemon) reopenAcceptor(ctx context.Context, socket ipc.Handed) {
	if d.socket.acceptor.conns.Err() == nil { // closeAcceptor has only stopped the watcher
		d.watch(ctx)
		return
	}
	l, err := ipc.TakeOver(socket)
	if err != nil {
		d.log.Error("socket not served", "err", err)
		d.life.quit()
		return
	}
	d.openAcceptor(ctx, l)
}

// errNotQuiescent says that a turn or an agent ended while the agents were being paused.
var errNotQuiescent = errors.New("the agents do not come to rest")

// errCommand says that a child process other than an agent runs, such as a notify command.
// The next program would not know of it and could not end it.
var errCommand = errors.New("a command that the daemon has started has not ended")

// pauseAgents pauses the daemon's side of every agent and returns the state of all. If a turn
// is just ending, its end is recorded first.
func (d *Daemon) pauseAgents(ctx context.Context) (*Handoff, error) {
	ctx, cancel := context.WithTimeout(ctx, quiesceTimeout)
	defer cancel()
	for {
		h, err := d.pauseOnce(ctx)
		if err == nil {
			return h, nil
		}
		if err := d.pool.Freeze(ctx); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pauseRetry):
		}
	}
}

// canPause reports why the agents cannot be paused, while the client is still connected.
func (d *Daemon) canPause(ctx context.Context) error {
	_, err := d.pauseAgents(ctx)
	if err == nil {
		d.unpause()
	}
	return err
}

// unpause undoes pauseAgents.
func (d *Daemon) unpause() {
	for _, p := range d.agents.Live() {
		p.Agent.Unpause()
	}
}

// pauseOnce pauses all agents, or none.
func (d *Daemon) pauseOnce(ctx context.Context) (*Handoff, error) {
	var paused []*claude.Process
	undo := func(err error) (*Handoff, error) {
		for _, p := range paused {
			p.Unpause()
		}
		return nil, err
	}
	h := d.handoff()
	for _, p := range d.agents.Live() {
		state, err := p.Agent.Pause(ctx)
		if err != nil {
			return undo(err)
		}
		paused = append(paused, p.Agent)
		h.Agents = append(h.Agents, state)
	}
	if h.hasOtherChild(d.agents.Reaper.Children()) {
		return undo(errCommand)
	}
	var quiescent bool
	h.Approvals, h.Decided = d.approvals.HandOver()
	if h.Pool, quiescent = d.pool.Handoff(); !quiescent || !h.consistent() {
		return undo(errNotQuiescent)
	}
	d.takeEvents(h.Pool.Events)
	h.ToNotify = d.notify.HandOver()
	return h, nil
}

// hasOtherChild reports whether one of the children is not an agent.
func (h *Handoff) hasOtherChild(children []int) bool {
	agents := h.pids()
	return slices.ContainsFunc(children, func(pid int) bool { return !slices.Contains(agents, pid) })
}

// consistent reports whether the states of the pool and of the agents agree.
func (h *Handoff) consistent() bool {
	if len(h.Pool.Agents) != len(h.Agents) {
		return false
	}
	for _, a := range h.Pool.Agents {
		if p := h.agent(a.ID); p == nil || p.InTurn != (a.Turn != "") {
			return false
		}
	}
	return true
}

// handoff returns the Handoff without the agents, the pool, the approvals and the socket.
func (d *Daemon) handoff() *Handoff {
	messages, costs := d.delivery.Totals()
	ownTurns, ownCosts := d.agents.OwnTotals()
	return &Handoff{
		Format: handoffFormat, Generation: d.program.generation, Since: d.program.since, Login: d.agents.Env.FromShell(),
		Lock: int(d.lock.f.Fd()), Ignored: d.opts.Ignored, Place: d.opts.Paths.Socket, environ: d.opts.Service.environ(), Prefix: d.program.prefix,
		Messages: messages, Costs: costs, OwnTurns: ownTurns, OwnCosts: ownCosts, Logged: d.logged.Load(), Notices: d.conversations.Notices(),
	}
}
