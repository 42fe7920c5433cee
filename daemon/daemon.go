// Package daemon wires iris together and gives it its lifetime: the lock, the
// log, the configuration and its reload, the pool with its agents, and the
// socket. It holds no policy: what runs when is package pool's, what an agent
// says is package claude's.
//
// Run owns every goroutine; when it returns none is left. The order at the end
// is: refuse new messages, let running turns end until drain_timeout, stop the
// agents, close the socket, release the lock.
//
// A daemon can also be replaced in place by another program (daemon.restart):
// the process stays, and with it the agents, which are its children and notice
// nothing. See replacement.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// errCrippled says that a limit of the caller bars a daemon from working.
var errCrippled = errors.New("too little for a daemon")

// tidyAfter is how long after a large text the memory that it took is given
// back to the system; the runtime by itself would keep it while it idles.
const tidyAfter = 10 * time.Second

// Options says how a daemon runs.
type Options struct {
	Paths     config.Paths
	Overrides []config.Override // flags over configuration keys
	Version   string
	Ready     *os.File // told when the socket answers, by a client that waits; nil in the foreground
	Stderr    io.Writer
	Problems  error     // what Isolate could not undo
	Args      []string  // how this daemon is started, for the program that replaces it; nil when none can
	Handover  *Handover // what the program before this one has left; nil at a start
	Service   Service   // what the service manager has told, if there is one
}

// Daemon is one running daemon.
type Daemon struct {
	opts  Options
	self  string // our own program, for the built-in agent
	since time.Time

	generation int    // 1, and 1 more with each program that this process has been
	prefix     string // of process ids

	lock     *lock
	log      *slog.Logger
	level    *slog.LevelVar
	env      *environment
	journal  *journal.Journal
	follower *claude.Follower
	reaper   *claude.Reaper
	pool     *pool.Pool
	server   *ipc.Server
	front    front
	listener *ipc.Listener // the one in service; while it runs watchSocket alone changes it
	closers  []func()      // run last to first at the end

	wg         sync.WaitGroup  // every goroutine of this package
	serving    context.Context // ends when the socket shall be closed
	force      context.Context // ends when draining shall end at once
	quit       context.CancelFunc
	forceNow   context.CancelFunc
	endServing context.CancelFunc
	opened     chan struct{} // closed when everything is up
	gone       chan struct{} // closed when the last agent is

	replacing    sync.Mutex       // held by a call that wants the program replaced
	replacements chan replacement // to run
	draining     chan struct{}    // closed when the daemon is to end

	leftovers []leftover        // of earlier daemons; not changed after start
	adopted   map[string]string // processes that the program before this one has handed over, and the message that each runs

	config   atomic.Pointer[config.Config]
	reloadMu sync.Mutex             // one reload at a time
	refused  atomic.Pointer[string] // why the last reload was, nil when it was not

	boot       string // of the machine
	ids        ids
	keys       keyLocks
	holding    sync.Mutex // held while a conversation is held or let go for what the journal says
	live       live
	recent     recent
	room       room
	approvals  approvals
	notices    sync.Map               // pool.Key -> what the next answer of that conversation says besides
	unnotified atomic.Pointer[string] // why nobody may know of an approval
	damage     atomic.Pointer[string] // what Check found in the journal
	fatal      atomic.Pointer[error]  // why the daemon ends, when that is the journal's fault
	leave      atomic.Bool            // running turns are left to their agents
	follows    atomic.Bool            // another daemon follows at once: waiting clients come back to it
	left       chan struct{}          // closed when running turns have been left

	// patient ends when this daemon can no longer wait for room on the disk.
	patient   context.Context
	impatient context.CancelFunc

	tidy     *time.Timer   // gives memory back a while after the last large text
	logged   atomic.Uint64 // last event in the log
	messages atomic.Int64
	costs    atomic.Int64 // millionths of a dollar
}

// Run runs a daemon until ctx ends, SIGTERM or SIGINT arrives, or a client
// stops it. A second signal ends the draining at once, a third one the process.
// SIGHUP reloads the configuration. The error is ErrRunning when the state
// directory has a daemon already, an *ipc.Error where it has a code.
func Run(ctx context.Context, o Options) error {
	debug.SetGCPercent(50) // it mostly waits: memory counts more than the collector's time
	return newDaemon(o).lifetime(ctx)
}

// lifetime is the whole life of a daemon.
func (d *Daemon) lifetime(ctx context.Context) error {
	ctx, d.quit = context.WithCancel(ctx)
	d.tidy = time.AfterFunc(tidyAfter, debug.FreeOSMemory) // what starting took, too
	defer d.tidy.Stop()
	defer d.end()
	if err := d.open(); err != nil {
		tell(d.opts.Ready, fmt.Sprintf("error %d %v\n", exitCode(err), err))
		d.opts.Service.Tell("STATUS=not started: " + err.Error())
		if len(d.adopted) > 0 { // the turns of the program before this one go on without it
			close(d.left)
		}
		return err
	}
	d.run(ctx)
	if fatal := d.fatal.Load(); fatal != nil {
		return *fatal
	}
	return nil
}

func newDaemon(o Options) *Daemon {
	d := &Daemon{
		opts: o, since: time.Now(), generation: 1, boot: claude.BootID(),
		gone: make(chan struct{}), opened: make(chan struct{}), left: make(chan struct{}), draining: make(chan struct{}),
		replacements: make(chan replacement), adopted: map[string]string{},
	}
	d.serving, d.endServing = context.WithCancel(context.Background())
	d.force, d.forceNow = context.WithCancel(context.Background())
	d.patient, d.impatient = context.WithCancel(context.Background())
	d.prefix = newPrefix(d.since)
	if h := o.Handover; h != nil {
		d.since, d.generation, d.prefix = h.Since, h.Generation+1, h.Prefix
		d.messages.Store(h.Messages)
		d.costs.Store(h.Costs)
		d.logged.Store(h.Logged)
		for _, n := range h.Notices {
			d.notices.Store(n.Key, n.Text)
		}
	}
	d.approvals.open(o.Handover)
	return d
}

// tell answers the client that started us and lets it go.
func tell(ready *os.File, line string) {
	if ready != nil {
		io.WriteString(ready, line)
		ready.Close()
	}
}

// atEnd registers what end does, last first.
func (d *Daemon) atEnd(f func()) { d.closers = append(d.closers, f) }

func (d *Daemon) end() {
	d.quit()
	d.forceNow()
	d.impatient()
	d.endServing()
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
	}
}

// open brings everything up to the point where the socket can answer.
func (d *Daemon) open() error {
	if errors.Is(d.opts.Problems, errCrippled) {
		return fmt.Errorf("%s; start it from a shell without that limit", strings.Join(d.problems(), "; "))
	}
	var err error
	if d.self, err = os.Executable(); err != nil {
		return err
	}
	if err := d.opts.Paths.MakeDirs(); err != nil {
		return err
	}
	if d.lock, err = d.takeLock(); err != nil {
		return err
	}
	d.atEnd(d.lock.release)
	opened := d.openJournal() // its syncs go on while the processor works
	cfg, err := config.Load(d.opts.Paths, d.opts.Overrides...)
	if err != nil {
		return ipc.Errorf(ipc.CodeUsage, "%v", err)
	}
	d.config.Store(cfg)
	syscall.Umask(int(cfg.Umask))
	d.openLog(cfg)
	if err := d.openAgents(); err != nil {
		return err
	}
	if err := opened(); err != nil {
		return err
	}
	if err := d.recover(); err != nil {
		return err
	}
	return d.openSocket()
}

// openJournal opens the journal in the background; the function it returns
// waits for that. Nothing uses d.journal before.
func (d *Daemon) openJournal() (wait func() error) {
	var err error
	done := make(chan struct{})
	d.atEnd(func() {
		<-done
		if d.journal != nil {
			d.journal.Close()
		}
	})
	d.wg.Go(func() {
		defer close(done)
		d.journal, err = journal.Open(d.opts.Paths.Journal)
	})
	return func() error { <-done; return err }
}

func (d *Daemon) openLog(cfg *config.Config) {
	var closer io.Closer
	d.log, d.level, closer = newLog(d.opts.Paths.Log, cfg, d.opts.Stderr)
	d.atEnd(func() { closer.Close() })
	d.log.Info("starting", "version", d.opts.Version, "pid", os.Getpid(), "generation", d.generation)
	for _, p := range d.problems() {
		d.log.Warn("not undone", "err", p)
	}
}

// problems lists what Isolate could not undo.
func (d *Daemon) problems() []string {
	if d.opts.Problems == nil {
		return nil
	}
	return strings.Split(d.opts.Problems.Error(), "\n")
}

// openAgents opens the pool with what drives its processes.
func (d *Daemon) openAgents() error {
	var err error
	if d.reaper, err = claude.NewReaper(d.opts.Handover.pids()...); err != nil {
		return err
	}
	d.atEnd(d.closeAgents(d.reaper.Close))
	if d.follower, err = claude.NewFollower(); err != nil {
		return fmt.Errorf("follow the agents' output: %w", err)
	}
	d.atEnd(d.closeAgents(d.follower.Close))
	d.atEnd(d.recent.close)
	d.env = newEnvironment(d.byOthers(), d.reaper, &d.wg)
	d.atEnd(d.wg.Wait)
	d.atEnd(d.approvals.close) // after the pool
	cfg := d.config.Load()
	d.pool = pool.New(pool.Config{
		Limits:   limits(cfg),
		Settings: d.settings,
		Start:    d.startAgent,
		Prefix:   d.prefix,
	})
	d.atEnd(d.closeAgents(d.pool.Close))
	return nil
}

func (d *Daemon) openSocket() error {
	var err error
	if d.listener, err = d.openListener(); err != nil {
		return err
	}
	d.atEnd(func() { d.listener.Close() })
	d.server = ipc.NewServer(ipc.Options{
		Version: d.opts.Version,
		Config:  d.opts.Paths.Config,
		Panic: func(method string, v any, stack []byte) {
			d.log.Error("handler panic", "method", method, "err", fmt.Sprint(v), "stack", string(stack))
		},
		Refused: func(p ipc.Peer, err error) { d.log.Warn("connection refused", "uid", p.UID, "peer", p.PID, "err", err) },
	})
	d.handlers()
	return d.lock.record(d.opts.Paths.Socket)
}

// run serves until it is told to stop, and ends in the documented order.
func (d *Daemon) run(ctx context.Context) {
	close(d.opened)
	d.openFront(ctx, d.listener)
	d.wg.Go(func() { d.watchSignals(d.serving) })
	d.wg.Go(func() { d.watchConfig(d.serving) })
	d.wg.Go(func() { d.logEvents(d.serving) })
	d.wg.Go(func() { d.pruneJournal(d.serving) })
	d.log.Info("ready", "socket", d.opts.Paths.Socket)
	tell(d.opts.Ready, "ok\n")
	d.tellReady()
	if d.opts.Service.notices != "" {
		d.wg.Go(func() { d.tellAlive(d.serving) })
	}
	if h := d.opts.Handover; h != nil && h.Quit {
		d.quit()
	}

	stops := d.serve(ctx)
	d.tellStopping()
	if !stops {
		return
	}
	close(d.draining)
	d.drain()
	close(d.gone)
	d.endServing()
	d.front.watcher.Wait()
	d.front.served.Wait()
	d.wg.Wait()
	d.log.Info("stopped")
}

// serve returns true when the daemon is to stop. While it is in service it
// replaces its program on request; when that fails beyond the way back, it leaves
// the turns to their agents and returns false.
func (d *Daemon) serve(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return true
		case r := <-d.replacements:
			if err := d.replace(ctx, r); err != nil {
				d.log.Error("the daemon ends", "err", err)
				d.fatal.Store(&err)
				close(d.left)
				return false
			}
		}
	}
}

// drain refuses new messages, gives the running turns until drain_timeout or
// the second signal, and stops every agent; or leaves those that still run to
// themselves: their input ends with this process, and they with their turn.
func (d *Daemon) drain() {
	cfg := d.config.Load()
	d.log.Info("stopping", "drain_timeout", cfg.DrainTimeout.String())
	ctx, cancel := context.WithTimeout(d.force, cfg.DrainTimeout)
	defer cancel()
	d.pool.Drain(ctx)
	d.impatient()
	leave := d.leave.Load() || cfg.LeaveTurns || d.fatal.Load() != nil // their ends cannot be recorded here
	if leave && d.pool.Busy() {
		d.log.Info("running turns are left to their agents and the next daemon")
		close(d.left)
		return
	}
	d.pool.Close()
}

// closeAgents ends what drives the agents, unless they were left.
func (d *Daemon) closeAgents(f func()) func() {
	return func() {
		select {
		case <-d.left:
		default:
			f()
		}
	}
}
