package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

const (
	teams    = 5
	patience = time.Minute // with a daemon that starts, or that was told to stop

	// The least and the most that max_processes is.
	leastBound = 2
	mostBound  = 4

	approvalTimeout = 300 * time.Millisecond
)

// home is a user's home of its own for one run, with iris configured in it. All
// processes of the run have it as HOME, which is how they are found.
type home struct {
	dir    string
	iris   string
	ledger string
	paths  config.Paths
	env    []string
	tmpfs  bool // the state of iris is on a file system of its own

	bound   int                 // max_processes in the configuration
	budgets map[string][]budget // of teams, oldest first

	allowed int // how many agents may live, as they are told: more than bound while some start that were granted before
}

// newHome makes the directory, the program and the configuration.
func newHome(ctx context.Context, iris string) (*home, error) {
	dir, err := os.MkdirTemp("", "crash") // short: the path of a socket is limited
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	h := &home{dir: dir, iris: iris, ledger: filepath.Join(dir, "ledger"), bound: 3, budgets: map[string][]budget{}}
	for of := range onBudget {
		h.setBudget(of, mostTurns*turnUSD)
	}
	err = h.build(ctx)
	if err == nil {
		err = h.settle()
	}
	if err != nil {
		h.remove()
		return nil, err
	}
	return h, nil
}

// build makes the program that is tested, unless one was given.
func (h *home) build(ctx context.Context) (err error) {
	if h.iris != "" {
		h.iris, err = filepath.Abs(h.iris)
		return err
	}
	h.iris = filepath.Join(h.dir, "iris")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", h.iris, "iris/cmd/iris")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build iris: %w\n%s", err, out)
	}
	return nil
}

// settle writes the configuration, and has this process too look for iris there.
func (h *home) settle() error {
	place := map[string]string{"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"}
	for name, sub := range place {
		path := filepath.Join(h.dir, sub)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		h.env = append(h.env, name+"="+path)
		os.Setenv(name, path)
	}
	h.mount()
	h.env = append(h.env, "PATH="+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
	os.Unsetenv("IRIS_SOCKET")
	os.Unsetenv("IRIS_CONFIG")
	var err error
	if h.paths, err = config.Resolve(""); err != nil {
		return err
	}
	if err := h.allow(h.bound); err != nil {
		return err
	}
	return h.configure()
}

// allow tells the agents how many may live.
func (h *home) allow(n int) error {
	h.allowed = n
	return sys.WriteFile(h.bounds(), []byte(strconv.Itoa(n)), 0o600, true)
}

func (h *home) bounds() string { return filepath.Join(h.dir, "bound") }

// configure writes the configuration.
func (h *home) configure() error {
	var b strings.Builder
	fmt.Fprintf(&b, `max_processes = %d
fair_wait = "100ms"
health_check_interval = "1s"
orphan_timeout = "1s"
orphan_grace = "200ms"
stop_grace = "2s"
drain_timeout = "200ms"
approvals = "ask"
approval_timeout = %q
budget = { day = 1000000 }
command = %q
env = { GORACE = "atexit_sleep_ms=0", FAKECLAUDE_ARGS = "--fake-ledger=%s --fake-max=@%s" }
`, h.bound, approvalTimeout, claudetest.Install(h.dir), h.ledger, h.bounds())
	for i := range teams {
		dir := filepath.Join(h.dir, "project", team(i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		fmt.Fprintf(&b, "[teams.%s]\ndir = %q\naccount = %q\n", team(i), dir, account(team(i)))
		h.writeBudget(&b, team(i))
		if i == 0 {
			b.WriteString("idle_timeout = \"30ms\"\n")
		} else {
			b.WriteString("freeze_after = \"20ms\"\n")
		}
	}
	if err := os.MkdirAll(filepath.Dir(h.paths.Config), 0o700); err != nil {
		return err
	}
	return sys.WriteFile(h.paths.Config, []byte(b.String()), 0o600, true)
}

func team(i int) string { return fmt.Sprintf("t%d", i) }

// state is where iris keeps its state.
func (h *home) state() string { return filepath.Join(h.dir, "state") }

func (h *home) remove() {
	h.unmount(false)
	os.RemoveAll(h.dir)
}

// command is a call of the program.
func (h *home) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.iris, args...)
	cmd.Env, cmd.Dir = h.env, h.dir
	cmd.WaitDelay = time.Second
	return cmd
}

// dial connects to the daemon that runs.
func (h *home) dial(ctx context.Context) (*ipc.Client, error) {
	socket, err := h.paths.FindSocket()
	if err != nil {
		return nil, err
	}
	return ipc.Dial(ctx, socket, ipc.Hello{Version: "crashtest"})
}

// call makes one call on a connection of its own.
func call[T any](ctx context.Context, h *home, method string, params any) (T, error) {
	var result T
	c, err := h.dial(ctx)
	if err != nil {
		return result, err
	}
	defer c.Close()
	err = c.Call(ctx, method, params, &result)
	return result, err
}

// start has a command start the daemon and returns that. A daemon that does not
// start on what a crash has left is a broken promise.
func (h *home) start(ctx context.Context) (process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no daemon after %v", patience))
	defer cancel()
	if out, err := h.command(ctx, "ps").CombinedOutput(); err != nil {
		return process{}, fmt.Errorf("iris ps: %w: %s", err, strings.TrimSpace(string(out)))
	}
	c, err := h.dial(ctx)
	if err != nil {
		return process{}, err
	}
	defer c.Close()
	for _, p := range h.processes() {
		if p.pid == c.Daemon().PID {
			return p, nil
		}
	}
	return process{}, fmt.Errorf("daemon %d is not among the processes of this run", c.Daemon().PID)
}

// startAndKill starts a daemon and kills it a moment after its process was
// seen, in its recovery or soon after. It reports whether there was one to kill.
func (h *home) startAndKill(ctx context.Context, after time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := h.command(ctx, "ps")
	if cmd.Start() != nil {
		return false
	}
	defer cmd.Wait()
	for ctx.Err() == nil {
		all := h.processes()
		if i := slices.IndexFunc(all, process.isDaemon); i >= 0 {
			time.Sleep(after)
			killed := h.kill(all[i])
			h.gone(ctx, all[i])
			return killed
		}
	}
	return false
}

// gone waits until a process is gone.
func (h *home) gone(ctx context.Context, p process) error {
	for p.alive() {
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("process %d is still there", p.pid), context.Cause(ctx))
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// sweep ends what is left of the run.
func (h *home) sweep() {
	for range 3 {
		all := h.processes()
		for _, p := range all {
			h.kill(p)
		}
		if len(all) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
