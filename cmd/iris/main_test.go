package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"iris/config/sys/systest"
	"iris/ipc"
	"iris/pool/adapter/adaptertest"
	"iris/pool/claude/claudetest"
)

var update = flag.Bool("update", false, "write generated files and golden outputs instead of comparing")

// longEnough is for what should come by itself, however busy the machine is.
const longEnough = time.Minute

// TestMain makes the test binary be iris too, as a command of the scripts, as
// the daemon that it starts and as the agents of that one; and a Claude Code
// and a program that speaks the Agent Client Protocol, which do as they are told.
func TestMain(m *testing.M) {
	adaptertest.Main()
	beQuick()
	startTimeout, reachTimeout, askLimit = longEnough, longEnough, longEnough
	completionLimit, whoseLimit = longEnough, longEnough
	longestPause = 50 * time.Millisecond
	for limit, name := range map[*time.Duration]string{&lateBy: "LATE", &beginsBy: "BEGINS", &quietStop: "QUIET", &askLimit: "ASK", &ipc.HungAfter: "HUNG"} {
		if d, err := time.ParseDuration(os.Getenv("IRIS_TEST_" + name)); err == nil {
			*limit = d // as a script wants it
		}
	}
	flag.Set("test.parallel", "6") // they wait for processes more than they compute; -parallel says otherwise
	commands := map[string]func(){
		"iris":             truthful,
		"fakeclaude":       claudetest.Main,
		"fakeclaude-child": claudetest.Main,
		"counter":          claudetest.Counter,
		"exits":            exits,
		"terminal":         onTty,
	}
	if commands[filepath.Base(os.Args[0])] == nil {
		systest.Begin()
	}
	testscript.Main(m, commands)
}

// truthful is main, but for a status that the help of the command does not list,
// and an error that is not said as errors are: these break the test, whichever one
// it is in.
func truthful() {
	root := newRootCmd(os.Args[1:]...)
	cmd, err := root.ExecuteContextC(context.Background())
	code := report(root.ErrOrStderr(), err)
	_, listed, ok := strings.Cut(cmd.Long, exitHeading)
	var program programStatus
	if ok && code != exitPipe && !errors.As(err, &program) && !slices.Contains(strings.Fields(listed), strconv.Itoa(code)) {
		broken("exit status %d is not in the help of %s", code, cmd.CommandPath())
	}
	var agents *outcomeError
	if err != nil && code != exitPipe && !errors.As(err, &agents) {
		for _, line := range append(sentences(err), hint(err)) {
			if bad := misworded(line); bad != "" {
				broken("%s: %q in the error %q", cmd.CommandPath(), bad, line)
			}
		}
	}
	os.Exit(code)
}

func broken(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bug: "+format+"\n", args...)
	os.Exit(99)
}

// misworded returns what a line of talk should not have in it, or "": the words of
// a library, or the manners of another program.
func misworded(line string) string {
	for _, bad := range []string{
		"failed to", "EOF", "context deadline exceeded", "context canceled", "broken pipe", "i/o timeout", "executable file not found",
		"strconv.", "json: cannot", "json: unknown", "open /", "stat /", "lstat ", "mkdir /", "dial unix", "read unix", "write unix", "use of closed", "&{", "map[", "%!",
	} {
		if strings.Contains(line, bad) {
			return bad
		}
	}
	if strings.HasSuffix(line, ".") && !strings.HasSuffix(line, "...") {
		return "."
	}
	if line != "" && line[0] >= 'A' && line[0] <= 'Z' && !strings.HasPrefix(line, "IRIS_") && !strings.HasPrefix(line, "JSON ") {
		return line[:1]
	}
	return ""
}

// beQuick has programs built with the race detector, which are started in great
// numbers, not wait a second at their end.
func beQuick() {
	const name = "GORACE"
	if os.Getenv(name) != "" {
		return
	}
	os.Setenv(name, "atexit_sleep_ms=0")
	if self, err := os.Executable(); err == nil && filepath.Base(os.Args[0]) == "iris" {
		syscall.Exec(self, os.Args, os.Environ())
	}
}

// exits runs a command and says whether it ended with a status:
// "exits 2 iris ps x".
func exits() {
	want, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	got := cmd.ProcessState.ExitCode()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		got = 128 + int(ws.Signal())
	}
	if got != want {
		fmt.Fprintf(os.Stderr, "exit status %d, want %d\n", got, want)
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	systest.Needs(t, "sh", "grep", "sed", "cmp", "find", "xargs") // what a script needs beyond, it says
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup:               setupScript,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"eventually": eventually,
		},
	})
}

// homeDirs says which variable names which directory of a test's home.
var homeDirs = map[string]string{
	"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run",
}

// setupScript gives a script a home of its own, with a path short enough for a
// socket, and ends its daemon and all agents at the end.
func setupScript(env *testscript.Env) error {
	home, err := os.MkdirTemp("", "iris")
	if err != nil {
		return err
	}
	for name, sub := range homeDirs {
		dir := filepath.Join(home, sub)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		env.Setenv(name, dir)
	}
	env.Setenv("SHELL", "/bin/sh")
	env.Setenv("GORACE", os.Getenv("GORACE")) // so that only daemons and agents have to be quick by themselves
	t := env.T().(testing.TB)
	env.Defer(func() {
		stopDaemon(t, home, env.Vars)
		os.RemoveAll(home)
	})
	return nil
}

// stopDaemon ends a script's daemon and fails the test if anything is left.
func stopDaemon(t testing.TB, home string, environ []string) {
	cmd := exec.Command("iris", "daemon", "stop", "--force")
	cmd.Env = environ
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("stop the daemon: %v\n%s", err, out)
	}
	deadline := time.Now().Add(longEnough)
	for {
		left := processesOf(home)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind: %q", left)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processesOf lists the command lines of living processes with that HOME.
func processesOf(home string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00HOME="+home+"\x00")) {
			continue // a zombie has no environment
		}
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		found = append(found, filepath.Base(dir)+": "+strings.ReplaceAll(string(cmdline), "\x00", " "))
	}
	return found
}

// eventually runs a shell command until it succeeds: eventually 'iris ps | grep busy'.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: eventually 'shell command'")
	}
	deadline := time.Now().Add(longEnough)
	for ts.Exec("sh", "-c", args[0]) != nil {
		if time.Now().After(deadline) {
			ts.Fatalf("did not come true: %s", args[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
}
