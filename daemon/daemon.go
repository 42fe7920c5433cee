// Package daemon wires iris together and gives it its lifetime: the lock, the
// log, the configuration and its reload, the table of RPC methods, the socket, and
// its replacement. It holds no policy: what runs when is package pool's, what an agent
// says is package claude's, and each part below has an owner.
//
//	daemon ── lifetime, wire.go, handlers.go
//	  ├─ delivery       a message's whole life
//	  │    ├─ agents         starting them, orphans, who a caller is
//	  │    └─ approval       tools that wait for permission
//	  ├─ conversation   which session and model each one has
//	  ├─ store          the journal, and the wait for space on its disk
//	  └─ fault          error -> code, word, hint
//
// A part imports only what stands below it in delivery, agents, conversation, store,
// fault; what it needs of one above it is handed in by wire.go as a function.
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
	"sync/atomic"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/agents"
	"iris/daemon/approval"
	"iris/daemon/conversation"
	"iris/daemon/delivery"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// errUnusableLimits says that a limit of the caller bars a daemon from working.
var errUnusableLimits = errors.New("too little for a daemon")

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

// Daemon is one running daemon: the rooms, and what wires them.
type Daemon struct {
	opts    Options
	program program
	life    life
	swap    swap
	lock    *lock
	log     *slog.Logger
	logged  atomic.Uint64 // last event in the log
	config  configuration
	socket  socket

	store         *store.Store
	conversations *conversation.Registry
	approvals     *approval.Registry
	agents        *agents.Supervisor
	pool          *pool.Pool[*claude.Process]
	delivery      *delivery.Dispatcher
}

// program is which program this process is. It is not changed after the start.
type program struct {
	self       string // our own path, for the built-in agent
	since      time.Time
	generation int    // 1, and 1 more with each program that this process has been
	prefix     string // of process ids
	boot       string // of the machine
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
	ctx, d.life.quit = context.WithCancel(ctx)
	d.life.tidy = time.AfterFunc(tidyAfter, debug.FreeOSMemory) // what starting took, too
	defer d.life.tidy.Stop()
	defer d.end()
	if err := d.open(); err != nil {
		reportReady(d.opts.Ready, fmt.Sprintf("error %d %v\n", fault.Status(err), err))
		d.opts.Service.Tell("STATUS=not started: " + err.Error())
		if d.agents != nil && d.agents.HasAdopted() { // the turns of the program before this one go on without it
			close(d.life.turnsLeft)
		}
		return err
	}
	d.run(ctx)
	return d.store.Fatal()
}

func newDaemon(o Options) *Daemon {
	d := &Daemon{
		opts:    o,
		program: program{since: time.Now(), generation: 1, boot: procs.BootID()},
		life:    life{gone: make(chan struct{}), opened: make(chan struct{}), turnsLeft: make(chan struct{}), draining: make(chan struct{})},
		swap:    swap{requests: make(chan replacement)},
	}
	d.life.serving, d.life.endServing = context.WithCancel(context.Background())
	d.life.force, d.life.forceNow = context.WithCancel(context.Background())
	d.store = store.New(store.Options{
		Opened: d.life.opened, Go: d.life.wg.Go, OnFull: func() { d.delivery.DropOutputs() },
		OnFatal: func() { d.life.forceNow(); d.life.quit() },
		IsLive:  func(id string) bool { return d.delivery.IsLive(id) },
	})
	d.conversations = conversation.New(d.store)
	d.program.prefix = newPrefix(d.program.since)
	if h := o.Handover; h != nil {
		d.program.since, d.program.generation, d.program.prefix = h.Since, h.Generation+1, h.Prefix
		d.logged.Store(h.Logged)
		for _, n := range h.Notices {
			d.conversations.PutNotice(n.Key, n.Text)
		}
	}
	return d
}

// reportReady answers the client that started us and lets it go.
func reportReady(ready *os.File, line string) {
	if ready != nil {
		io.WriteString(ready, line)
		ready.Close()
	}
}

// open brings everything up to the point where the socket can answer.
func (d *Daemon) open() error {
	if errors.Is(d.opts.Problems, errUnusableLimits) {
		return fmt.Errorf("%s; start it from a shell without that limit", strings.Join(d.problems(), "; "))
	}
	var err error
	if d.program.self, err = os.Executable(); err != nil {
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
	cfg, err := d.config.open(d.opts.Paths, d.opts.Overrides)
	if err != nil {
		return ipc.Errorf(ipc.CodeUsage, "%v", err)
	}
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
// waits for that. Nothing uses d.store before.
func (d *Daemon) openJournal() (wait func() error) {
	var err error
	done := make(chan struct{})
	d.atEnd(func() {
		<-done
		if d.store.Journal != nil {
			if d.agents != nil {
				d.agents.RecordOwn()
			}
			d.store.Close()
		}
	})
	d.life.wg.Go(func() {
		defer close(done)
		d.store.Journal, err = journal.Open(d.opts.Paths.Journal)
	})
	return func() error { <-done; return err }
}

func (d *Daemon) openLog(cfg *config.Config) {
	var closer io.Closer
	d.log, d.config.level, closer = newLog(d.opts.Paths.Log, cfg, d.opts.Stderr)
	d.store.Log = d.log
	d.atEnd(func() { closer.Close() })
	d.log.Info("starting", "version", d.opts.Version, "pid", os.Getpid(), "generation", d.program.generation)
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

func (d *Daemon) openSocket() error {
	var err error
	if d.socket.listener, err = d.openListener(); err != nil {
		return err
	}
	d.atEnd(func() { d.socket.listener.Close() })
	d.socket.server = ipc.NewServer(ipc.Options{
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
	close(d.life.opened)
	d.openAcceptor(ctx, d.socket.listener)
	d.life.wg.Go(func() { d.watchSignals(d.life.serving) })
	d.life.wg.Go(func() { d.delivery.AwaitTeams(d.life.serving) })
	d.life.wg.Go(func() { d.logEvents(d.life.serving) })
	d.life.wg.Go(func() { d.store.Maintain(d.life.serving, d.retention, d.tidy) })
	d.log.Info("ready", "socket", d.opts.Paths.Socket)
	reportReady(d.opts.Ready, "ok\n")
	d.tellReady()
	if d.opts.Service.notices != "" {
		d.life.wg.Go(func() { d.tellAlive(d.life.serving) })
	}
	if h := d.opts.Handover; h != nil && h.Quit {
		d.life.quit()
	}

	stops := d.serve(ctx)
	d.tellStopping()
	if !stops {
		return
	}
	close(d.life.draining)
	d.drain()
	close(d.life.gone)
	d.life.endServing()
	d.socket.acceptor.watcher.Wait()
	d.socket.acceptor.served.Wait()
	d.life.wg.Wait()
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
		case r := <-d.swap.requests:
			if err := d.replace(ctx, r); err != nil {
				d.log.Error("the daemon ends", "err", err)
				d.store.SetFatal(err)
				close(d.life.turnsLeft)
				return false
			}
		}
	}
}
