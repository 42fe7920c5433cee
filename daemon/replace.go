package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool/claude"
)

// swap is the replacement of the program by another one.
type swap struct {
	mu       sync.Mutex       // held by a call that wants it
	requests chan replacement // to run
}

const (
	quiesceTimeout = 10 * time.Second // for what is under way when the program is to be replaced
	pauseRetry     = 5 * time.Millisecond
)

// A replacement is a program that takes the place of this one in this process.
//
//	replaceCall   try            the program runs, and reads configuration and journal
//	replace       quiesce     the pool decides nothing; what waits is on record
//	              canPause       the agents are between two lines
//	              closeAcceptor     no connections; new ones wait in the socket's queue
//	              pauseAgents    no agent is read or written to, and no turn ends
//	              journal.Close  from here on there is no way back
//	              execute        the state is in memory that the program is handed, and the descriptors are open
//	recover       in the new image: agents first, then what the journal has
//
// Until the journal closes, whatever fails undoes what was done before it. After
// that the daemon ends and leaves the turns to their agents, as after a crash.
type replacement struct {
	program string
	refused chan error // has room for one
}

// replaceCall answers daemon.restart, if it is refused.
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
	if err := d.try(ctx, p.Program); err != nil {
		return nil, d.notReplaced(err)
	}
	r := replacement{program: p.Program, refused: make(chan error, 1)}
	select {
	case d.swap.requests <- r:
	case <-d.life.draining:
		return nil, fault.New(ipc.CodeFull, "stopping", errors.New("the daemon is stopping"))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-r.refused:
		return nil, d.notReplaced(err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// notReplaced is what the client is told when the old program stays.
func (d *Daemon) notReplaced(err error) error {
	d.log.Error("not restarted", "err", err)
	return fault.New(ipc.CodeFailed, "not-restarted", fmt.Errorf("the running daemon stays: %w", err))
}

// replace replaces the program of this process. It returns only when that has
// failed: without an error this one is in service as before, else it has to end.
func (d *Daemon) replace(ctx context.Context, r replacement) error {
	begun := time.Now()
	err := d.quiesce(ctx)
	if err == nil {
		err = d.canPause(ctx)
	}
	if err != nil {
		d.pool.Thaw()
		r.refused <- err
		return nil
	}
	socket, err := d.closeAcceptor()
	if err == nil {
		err = d.quiesce(ctx) // whatever a call has begun meanwhile
	}
	var h *Handover
	if err == nil {
		h, err = d.pauseAgents(ctx)
	}
	if err != nil {
		d.log.Error("not restarted", "err", err)
		d.reopenAcceptor(ctx, socket)
		d.pool.Thaw()
		r.refused <- err // for a client that was not cut off
		return nil
	}
	d.log.Info("replaced", "program", r.program, "agents", len(h.Agents), "took", time.Since(begun).String())
	h.Socket = socket
	d.agents.RecordOwn()
	if err = d.store.Close(); err == nil {
		h.Quit = ctx.Err() != nil
		err = execute(r.program, d.opts.Args, h)
	}
	return fmt.Errorf("replace the program by %s: %w", r.program, err)
}

// quiesce returns when the pool begins nothing more, nothing is under way in
// it but turns, and the journal has all that waits.
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

// acceptor is what serves the socket. It ends before the rest of the daemon.
type acceptor struct {
	endWatch context.CancelFunc
	watcher  sync.WaitGroup // watchSocket

	conns    context.Context // of the server
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

// closeAcceptor cuts every connection off and returns when no call is under way.
// The socket itself stays, and what connects to it waits.
func (d *Daemon) closeAcceptor() (ipc.Handed, error) {
	f := &d.socket.acceptor
	f.endWatch()
	f.watcher.Wait() // d.socket.listener is ours now
	socket, err := d.socket.listener.HandOver()
	if err != nil {
		return socket, err
	}
	d.socket.listener.Close() // first: whoever comes back once he is cut off finds the next image
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
	if d.socket.acceptor.conns.Err() == nil { // it got no further than the watcher
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

// errNotQuiescent says that something has ended while the agents were being paused.
var errNotQuiescent = errors.New("the agents do not come to rest")

// errCommand says that something runs which is no agent, such as what notifies of an
// approval. The next image would neither know of it nor end it.
var errCommand = errors.New("a command that the daemon has started has not ended")

// pauseAgents stops the daemon's side of every agent where it can be taken up
// again. A turn that ends just then has its end recorded first.
func (d *Daemon) pauseAgents(ctx context.Context) (*Handover, error) {
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

// canPause reports what would keep the agents from being paused, while there is
// still somebody to be told.
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
func (d *Daemon) pauseOnce(ctx context.Context) (*Handover, error) {
	var paused []*claude.Process
	undo := func(err error) (*Handover, error) {
		for _, p := range paused {
			p.Unpause()
		}
		return nil, err
	}
	h := d.handover()
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
	return h, nil
}

// hasOtherChild reports whether there is a child that is none of the agents.
func (h *Handover) hasOtherChild(children []int) bool {
	agents := h.pids()
	return slices.ContainsFunc(children, func(pid int) bool { return !slices.Contains(agents, pid) })
}

// consistent reports whether pool and agents speak of the same moment.
func (h *Handover) consistent() bool {
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

// handover is all but the agents and the socket.
func (d *Daemon) handover() *Handover {
	messages, costs := d.delivery.Totals()
	ownTurns, ownCosts := d.agents.OwnTotals()
	return &Handover{
		Format: handoverFormat, Generation: d.program.generation, Since: d.program.since, Login: d.agents.Env.FromShell(),
		Lock: int(d.lock.f.Fd()), environ: d.opts.Service.environ(), Prefix: d.program.prefix,
		Messages: messages, Costs: costs, OwnTurns: ownTurns, OwnCosts: ownCosts, Logged: d.logged.Load(), Notices: d.conversations.Notices(),
	}
}
