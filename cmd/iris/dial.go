package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iris/cmd/iris/internal/systemd"
	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

const (
	patience = 60 * time.Second // how long a daemon may be silent in a call that waits for no turn
	lockPoll = 5 * time.Millisecond
)

// startTimeout is how long a daemon may take to become ready. Tests change it.
var startTimeout = 20 * time.Second

// paths finds iris's files from the flags and the environment.
func (g *globals) paths() (config.Paths, error) {
	p, err := config.Resolve(g.socket)
	if err != nil {
		return p, usagef("", "%s", err)
	}
	if g.config != "" {
		err = p.Choose(g.config)
	}
	if err == nil && !g.anyConfig {
		err = p.CheckChosen()
	}
	if err != nil {
		return p, usagef("", "%s", err)
	}
	return p, nil
}

// loaded reads the configuration.
func (g *globals) loaded() (*config.Config, error) {
	p, err := g.paths()
	if err != nil {
		return nil, err
	}
	return config.Load(p)
}

// running returns g for calls that start no daemon.
func (g globals) running() *globals {
	g.noStart = true
	return &g
}

// ofAnyConfig returns g for a daemon with any configuration.
func (g globals) ofAnyConfig() *globals {
	g.anyConfig = true
	return &g
}

// verbs returns the calls that wait for no turn, each on its own connection.
func (g *globals) verbs() ipc.Verbs { return g.call }

// dial connects to the daemon, and first starts one if there is none and the flags
// allow it.
func (g *globals) dial(ctx context.Context) (*ipc.Client, error) {
	p, err := g.paths()
	if err != nil {
		return nil, err
	}
	if g.noStart && wouldActivate(p) {
		return nil, ipc.ErrNoDaemon
	}
	c, err := g.connect(ctx, p)
	switch {
	case !errors.Is(err, ipc.ErrNoDaemon):
	case g.noStart:
		c, err = g.awaitHolder(ctx, p)
	default:
		c, err = g.startAndConnect(ctx, p)
	}
	if err == nil {
		g.noteSilence(ctx, c)
	}
	return c, err
}

func (g *globals) connect(ctx context.Context, p config.Paths) (*ipc.Client, error) {
	socket, err := p.FindSocket()
	if err != nil {
		return nil, ipc.Errorf(ipc.CodeDaemon, "%s", err)
	}
	hello := ipc.Hello{Version: buildVersion()}
	if !g.anyConfig {
		hello.Config = p.Chosen()
	}
	c, err := ipc.Dial(ctx, socket, hello)
	switch {
	case errors.Is(err, ipc.ErrNoDaemon):
		return nil, ipc.ErrNoDaemon // the text of the system's error adds nothing
	case err == nil, ctx.Err() != nil:
		return c, err
	}
	return nil, ipc.Errorf(ipc.CodeDaemon, "%s", err)
}

// startAndConnect lets one of any number of clients start the daemon: the client with
// the start lock. The others connect as soon as the daemon listens.
func (g *globals) startAndConnect(ctx context.Context, p config.Paths) (*ipc.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		ipc.Errorf(ipc.CodeDaemon, "the daemon was not ready within %s; its log is %s", startTimeout, p.Log))
	defer cancel()
	lock, err := openStartLock(p)
	if err != nil {
		return nil, err
	}
	defer lock.Close() // and so release the lock
	for {
		mine, err := sys.TryLock(lock)
		if err != nil {
			return nil, err
		}
		if c, err := g.connect(ctx, p); !errors.Is(err, ipc.ErrNoDaemon) {
			return c, err
		}
		if mine {
			break
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
	c, err := g.awaitHolder(ctx, p)
	if !errors.Is(err, ipc.ErrNoDaemon) {
		return c, err
	}
	g.startUnit(ctx, p)
	c, err = g.connect(ctx, p)
	if !errors.Is(err, ipc.ErrNoDaemon) {
		return c, err
	}
	failed := g.startDaemon(ctx, p)
	c, err = g.connect(ctx, p)
	if failed != nil && err != nil { // otherwise somebody started one by hand meanwhile
		return nil, failed
	}
	return c, err
}

func openStartLock(p config.Paths) (*os.File, error) {
	if err := p.MakeDirs(); err != nil { // refuses a link, and directories of others
		return nil, ipc.Errorf(ipc.CodeDaemon, "%s", err)
	}
	f, err := os.OpenFile(p.Start, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, ipc.Errorf(ipc.CodeDaemon, "open the start lock: %s", err)
	}
	return f, nil
}

// holdStart keeps other clients from starting a daemon until release is called;
// release is nil if a client is starting one.
func holdStart(p config.Paths) (release func(), err error) {
	f, err := openStartLock(p)
	if err != nil {
		return nil, err
	}
	if mine, err := sys.TryLock(f); !mine {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// startDaemon starts this program as a daemon in a session of its own and waits until
// it is ready. It inherits nothing of the caller: daemonEnv makes the environment,
// package daemon handles the rest.
func (g *globals) startDaemon(ctx context.Context, p config.Paths) error {
	self, err := program()
	if err != nil {
		return ipc.Errorf(ipc.CodeDaemon, "find our own program: %s", err)
	}
	ready, theirs, err := os.Pipe()
	if err != nil {
		return ipc.Errorf(ipc.CodeDaemon, "start the daemon: %s", errors.Unwrap(err))
	}
	defer ready.Close()
	cmd := &exec.Cmd{
		Path:        self,
		Args:        append(g.daemonArgs(p), "--ready-fd", strconv.Itoa(readyFD)),
		Dir:         "/",
		Env:         daemonEnv(os.Environ()),
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return ipc.Errorf(ipc.CodeDaemon, "start the daemon: %s", sys.Cause(err))
	}
	return waitReady(ctx, cmd, ready, p)
}

// program returns the path of the running program, even if a newer one has replaced
// it there.
func program() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(self); err != nil {
		return "/proc/self/exe", nil
	}
	return self, nil
}

// readyFD is the daemon's descriptor of the pipe to the client that started it.
const readyFD = 3

// daemonArgs passes on the caller's paths from flags or environment, made absolute.
func (g *globals) daemonArgs(p config.Paths) []string {
	args := []string{"iris", "daemon"}
	if p.Chosen() != "" {
		args = append(args, "--config", p.Config)
	}
	if g.socket != "" || os.Getenv("IRIS_SOCKET") != "" {
		args = append(args, "--socket", p.Socket)
	}
	return args
}

// passedEnv names the variables that the daemon gets from the caller: those that say
// where its files are and whose they are. The daemon serves later callers too, so the
// rest (PATH, credentials) comes from the login shell.
var passedEnv = []string{"HOME", "USER", "LOGNAME"}

func daemonEnv(environ []string) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		if value != "" && (strings.HasPrefix(key, "XDG_") || slices.Contains(passedEnv, key)) {
			env = append(env, kv)
		}
	}
	return env
}

// waitReady reads the daemon's report: "ok", or "error CODE TEXT".
func waitReady(ctx context.Context, cmd *exec.Cmd, ready *os.File, p config.Paths) error {
	stop := context.AfterFunc(ctx, func() { ready.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	said, err := io.ReadAll(ready)
	line := strings.TrimSuffix(string(said), "\n")
	switch {
	case line == "ok":
		return cmd.Process.Release()
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case line == "": // it is gone or about to be
		return ipc.Errorf(ipc.CodeDaemon, "the daemon ended before it was ready (%s); its log is %s", ending(cmd), p.Log)
	}
	return startError(line)
}

func ending(cmd *exec.Cmd) string {
	cmd.Wait()
	return cmd.ProcessState.String()
}

func startError(line string) error {
	rest, _ := strings.CutPrefix(line, "error ")
	number, text, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(number)
	if err != nil || code <= 0 {
		return ipc.Errorf(ipc.CodeDaemon, "the daemon does not start: %s", line)
	}
	return ipc.Errorf(code, "the daemon does not start: %s", text)
}

// startUnit lets systemd start the daemon if the user has enabled that: then the
// daemon has its own control group, not that of the sender of the first message. If
// that fails, it says so, and the caller starts a daemon; the lock allows only one
// daemon in any case.
func (g *globals) startUnit(ctx context.Context, p config.Paths) {
	if !systemd.Enabled(p, systemd.Service, systemd.Socket) {
		return
	}
	if err := systemd.Start(ctx, p); err != nil {
		say(g.stderr(), "systemd does not start %s (%s), so the daemon starts without it", systemd.Service, err)
		say(g.stderr(), "hint: \"systemctl --user status %s\" says more", systemd.Service)
	}
}

// wouldActivate reports whether connecting would make systemd start a daemon: it has
// the socket, and no daemon runs.
func wouldActivate(p config.Paths) bool {
	return systemd.Enabled(p, systemd.Socket) && !locked(p.Lock)
}

// locked reports whether a daemon has its lock.
func locked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close() // and so release the lock
	return sys.Locked(f)
}
