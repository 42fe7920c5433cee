// Package daemon connects the parts of iris and runs the daemon: the lock, the log, the
// configuration and its reload, the table of RPC methods, the socket, and the replacement
// of the program. Policy is elsewhere: package pool decides which turns run when, package
// claude talks to the agents, and each part below has a package.
//
//	daemon ── lifetime, wire.go, handlers.go
//	  ├─ attach         conversations that persons have in terminals
//	  ├─ delivery       messages, from acceptance to end
//	  │    ├─ agents         starts agents, watches orphans, identifies callers
//	  │    └─ approval       tool calls that wait for permission
//	  ├─ conversation   the session and model of each conversation
//	  ├─ store          the journal, and the wait for space on its disk
//	  ├─ fault          error -> code, word, hint
//	  └─ notify         the commands that the events of messages and approvals run
//
// A part imports only parts that come after it in the order delivery, attach, agents, conversation,
// store, fault. wire.go gives it functions to reach the parts before it.
//
// Run owns every goroutine; when it returns, all have ended. At the end the daemon refuses
// new messages, lets running turns end until drain_timeout, stops the agents, closes the
// socket and releases the lock, in this order.
//
// Another program can replace the daemon in place (daemon.restart): the process stays, and
// its agents, which are its children, go on undisturbed. See replacement.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/agents"
	"iris/daemon/approval"
	"iris/daemon/attach"
	"iris/daemon/conversation"
	"iris/daemon/delivery"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/daemon/notify"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// errUnusableLimits says that with an inherited limit no daemon can work.
var errUnusableLimits = errors.New("too little for a daemon")

// tidyAfter is how long after a large text its memory is given back to the system. The
// runtime would keep it while the daemon is idle.
const tidyAfter = 10 * time.Second

// Options says how a daemon runs.
type Options struct {
	Paths     config.Paths
	Overrides []config.Override // flags over configuration keys
	Version   string
	Ready     *os.File // pipe to the waiting client that started the daemon; nil in the foreground
	Stderr    io.Writer
	Problems  error            // errors of Isolate
	Ignored   []syscall.Signal // they stay ignored, but not for agents
	Args      []string         // arguments for a program that replaces this one; nil if none can
	Handoff   *Handoff         // state of the program before this one; nil at a start
	Service   Service          // from the service manager, if there is one
}

// Daemon is a running daemon with its parts.
type Daemon struct {
	opts    Options
	program program
	life    life
	swap    swap
	lock    *lock
	log     *slog.Logger
	logged  atomic.Uint64 // Seq of the last event that followEvents has seen
	config  configuration
	socket  socket

	store         *store.Store
	conversations *conversation.Registry
	approvals     *approval.Registry
	notify        *notify.Notifier
	agents        *agents.Supervisor
	pool          *pool.Pool[*claude.Process]
	notices       notices
	delivery      *delivery.Dispatcher
	attach        *attach.Registry
}

// program identifies this process and its program. It is not changed after the start.
type program struct {
	self       string // path of iris, for the built-in agent
	since      time.Time
	generation int    // 1 for the first program in this process, then counted up
	prefix     string // begins the ids of agents
	boot       string // boot id of the machine
}

// Run runs a daemon until ctx ends, SIGTERM, SIGINT or SIGQUIT arrives, or a client stops it. A
// second signal ends the draining at once, a third signal the process. SIGHUP reloads the
// configuration. The error is ErrRunning if the state directory has a daemon already, and
// an *ipc.Error if it has a code.
func Run(ctx context.Context, o Options) error {
	debug.SetGCPercent(50) // the daemon mostly waits: save memory rather than processor time
	return newDaemon(o).lifetime(ctx)
}

// lifetime is the whole life of a daemon.
func (d *Daemon) lifetime(ctx context.Context) error {
	ctx, d.life.quit = context.WithCancel(ctx)
	d.life.tidy = time.AfterFunc(tidyAfter, debug.FreeOSMemory) // also after the start
	defer d.life.tidy.Stop()
	signal.Notify(d.life.quits, syscall.SIGQUIT) // until the end: Go would print the stack of every goroutine
	defer signal.Stop(d.life.quits)
	if d.opts.Handoff != nil {
		takeName()
	}
	defer d.end()
	if err := d.open(); err != nil {
		reportReady(d.opts.Ready, fmt.Sprintf("error %d %v\n", fault.Status(err), err))
		d.opts.Service.Tell("STATUS=not started: " + err.Error())
		if d.agents != nil && d.agents.HasAdopted() { // the turns of the program before this one go on
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
		life:    life{quits: make(chan os.Signal, 4), gone: make(chan struct{}), opened: make(chan struct{}), turnsLeft: make(chan struct{}), draining: make(chan struct{})},
		swap:    swap{requests: make(chan replacement)},
	}
	d.life.serving, d.life.endServing = context.WithCancel(context.Background())
	d.life.force, d.life.forceNow = context.WithCancel(context.Background())
	d.store = store.New(store.Options{
		Opened: d.life.opened, Go: d.life.wg.Go, OnFull: func() { d.delivery.DropOutputs() },
		OnFatal: func() { d.life.forceNow(); d.life.quit() },
		OnPruned: func(now time.Time, keep time.Duration) error {
			return errors.Join(d.conversations.Prune(now, keep), d.conversations.PruneAdapters(o.Paths.State))
		},
		IsLive: func(id string) bool { return d.delivery.IsLive(id) },
	})
	d.conversations = conversation.New(d.store)
	d.program.prefix = newPrefix(d.program.since)
	if h := o.Handoff; h != nil {
		d.program.since, d.program.generation, d.program.prefix = h.Since, h.Generation+1, h.Prefix
		d.opts.Ignored = h.Ignored
		d.opts.Paths.Socket = cmp.Or(h.Place, h.Socket.Path, o.Paths.Socket) // the same, even if the runtime directory is gone
		d.logged.Store(h.Logged)
		for _, n := range h.Notices {
			d.conversations.PutNotice(n.Key, n.Text)
		}
	}
	return d
}

// reportReady answers the client that started the daemon.
func reportReady(ready *os.File, line string) {
	if ready != nil {
		io.WriteString(ready, line)
		ready.Close()
	}
}

// open opens everything that must be ready before the socket answers.
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
	opened := d.openJournal() // in the background, since it waits for the disk
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

// openJournal opens the journal in the background and returns a function that waits for it.
// Nothing uses d.store before.
func (d *Daemon) openJournal() (wait func() error) {
	var err error
	done := make(chan struct{})
	d.atEnd(func() {
		<-done
		if d.store.Journal != nil {
			if d.agents != nil {
				d.agents.RecordOwn()
				d.agents.RecordGone()
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
	l, err := d.openListener()
	if err != nil {
		return err
	}
	d.setListener(l)
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
	return d.lock.record(l.Path(), d.opts.Paths.Socket)
}

// run serves until the daemon is to stop, and ends it in the order of the package comment.
func (d *Daemon) run(ctx context.Context) {
	close(d.life.opened)
	d.openAcceptor(ctx, d.socket.listener)
	d.life.wg.Go(func() { d.agents.KeepGone(d.life.serving) })
	d.life.wg.Go(func() { d.watchSignals(d.life.serving) })
	d.life.wg.Go(func() { d.delivery.AwaitTeams(d.life.serving) })
	d.life.wg.Go(func() { d.followEvents(d.life.serving) })
	d.notify.Resume()
	d.life.wg.Go(func() { d.store.Maintain(d.life.serving, d.retention, d.tidy) })
	d.log.Info("ready", "socket", d.socket.listener.Path())
	reportReady(d.opts.Ready, "ok\n")
	d.tellReady()
	if d.opts.Service.notices != "" {
		d.life.wg.Go(func() { d.tellAlive(d.life.serving) })
	}
	if h := d.opts.Handoff; h != nil && h.Quit {
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

// serve returns true when the daemon is to stop. On request it replaces the program. If
// that fails and cannot be undone, it leaves the turns to their agents and returns false.
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
