// Package daemon wires iris together and gives it its lifetime: the lock, the
// log, the configuration and its reload, the pool with its agents, and the
// socket. It holds no policy: what runs when is package pool's, what an agent
// says is package claude's.
//
// Run owns every goroutine; when it returns none is left. The order at the end
// is: refuse new messages, let running turns end until drain_timeout, stop the
// agents, close the socket, release the lock.
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
	Problems  error // what Isolate could not undo
}

// Daemon is one running daemon.
type Daemon struct {
	opts  Options
	self  string // our own program, for the built-in agent
	since time.Time

	lock     *lock
	log      *slog.Logger
	level    *slog.LevelVar
	env      *environment
	journal  *journal.Journal
	follower *claude.Follower
	reaper   *claude.Reaper
	pool     *pool.Pool
	server   *ipc.Server
	listener *ipc.Listener // the one in service; after start watchSocket alone changes it
	closers  []func()      // run last to first at the end

	wg         sync.WaitGroup  // every goroutine of this package
	serving    context.Context // ends when the socket shall be closed
	force      context.Context // ends when draining shall end at once
	quit       context.CancelFunc
	forceNow   context.CancelFunc
	endServing context.CancelFunc
	opened     chan struct{} // closed when everything is up
	gone       chan struct{} // closed when the last agent is

	leftovers []leftover // of earlier daemons; not changed after start

	config   atomic.Pointer[config.Config]
	reloadMu sync.Mutex             // one reload at a time
	refused  atomic.Pointer[string] // why the last reload was, nil when it was not

	boot    string // of the machine
	ids     ids
	keys    keyLocks
	live    live
	room    room
	notices sync.Map               // pool.Key -> what the next answer of that conversation says besides
	damage  atomic.Pointer[string] // what Check found in the journal
	fatal   atomic.Pointer[error]  // why the daemon ends, when that is the journal's fault
	leave   atomic.Bool            // running turns are left to their agents
	follows atomic.Bool            // another daemon follows at once: waiting clients come back to it
	left    chan struct{}          // closed when running turns have been left

	// patient ends when this daemon can no longer wait for room on the disk.
	patient   context.Context
	impatient context.CancelFunc

	tidy     *time.Timer // gives memory back a while after the last large text
	messages atomic.Int64
	costs    atomic.Int64 // millionths of a dollar
}

// Run runs a daemon until ctx ends, SIGTERM or SIGINT arrives, or a client
// stops it. A second signal ends the draining at once, a third one the process.
// SIGHUP reloads the configuration. The error is ErrRunning when the state
// directory has a daemon already, an *ipc.Error where it has a code.
func Run(ctx context.Context, o Options) error {
	debug.SetGCPercent(50) // it mostly waits: memory counts more than the collector's time
	d := &Daemon{opts: o, since: time.Now(), gone: make(chan struct{}), opened: make(chan struct{}), left: make(chan struct{}), boot: claude.BootID()}
	d.serving, d.endServing = context.WithCancel(context.Background())
	d.force, d.forceNow = context.WithCancel(context.Background())
	d.patient, d.impatient = context.WithCancel(context.Background())
	ctx, d.quit = context.WithCancel(ctx)
	d.tidy = time.AfterFunc(tidyAfter, debug.FreeOSMemory) // what starting took, too
	defer d.tidy.Stop()
	defer d.end()
	if err := d.open(); err != nil {
		tell(o.Ready, fmt.Sprintf("error %d %v\n", exitCode(err), err))
		return err
	}
	d.run(ctx)
	if fatal := d.fatal.Load(); fatal != nil {
		return *fatal
	}
	return nil
}

// tell answers the client that started us and lets it go.
func tell(ready *os.File, line string) {
	if ready != nil {
		io.WriteString(ready, line)
		ready.Close()
	}
}

// exitCode is the status that a start-up error means for the client.
func exitCode(err error) int {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e.Code
	}
	return ipc.CodeDaemon
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
	if d.lock, err = acquire(d.opts.Paths.Lock); err != nil {
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
	d.log.Info("starting", "version", d.opts.Version, "pid", os.Getpid())
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
	if d.reaper, err = claude.NewReaper(); err != nil {
		return err
	}
	d.atEnd(d.closeAgents(d.reaper.Close))
	if d.follower, err = claude.NewFollower(); err != nil {
		return fmt.Errorf("follow the agents' output: %w", err)
	}
	d.atEnd(d.closeAgents(d.follower.Close))
	d.env = newEnvironment(d.opts.Ready != nil, d.reaper, &d.wg)
	d.atEnd(d.wg.Wait)
	cfg := d.config.Load()
	d.pool = pool.New(pool.Config{
		Limits:   limits(cfg),
		Settings: d.settings,
		Start:    d.startAgent,
		Prefix:   newPrefix(d.since),
	})
	d.atEnd(d.closeAgents(d.pool.Close))
	return nil
}

func (d *Daemon) openSocket() error {
	var err error
	if d.listener, err = ipc.Listen(d.opts.Paths.Socket); err != nil {
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
	d.listen(d.listener)
	d.wg.Go(func() { d.watchSignals(d.serving) })
	d.wg.Go(func() { d.watchConfig(d.serving) })
	d.wg.Go(func() { d.logEvents(d.serving) })
	d.wg.Go(func() { d.watchSocket(ctx) })
	d.wg.Go(func() { d.pruneJournal(d.serving) })
	d.log.Info("ready", "socket", d.opts.Paths.Socket)
	tell(d.opts.Ready, "ok\n")

	<-ctx.Done()
	d.drain()
	close(d.gone)
	d.endServing()
	d.wg.Wait()
	d.log.Info("stopped")
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
