// Command crashtest kills iris at random moments, again and again, and holds
// what its journal says against what the agents saw. It is a black box test: it
// starts the real program as every command does, submits messages from several
// clients at once, sends SIGKILL to the daemon, to agents and to the next daemon
// during its recovery, has the program replaced, and goes on with the same state.
// Persons send again, resolve, kill, evict and restart meanwhile; and some rounds
// have another max_processes, a full disk, no descriptors left, or a daemon that
// stands still. Accounts that teams share reach a limit, until a reset or until a
// person opens them, idle agents are frozen, and teams spend their budgets until a person raises
// them.
//
//	go run ./daemon/crashtest -rounds 200
//
// Three witnesses are compared at the end, after a start that nobody disturbs:
//
//   - the notes of the driver itself: which ids its clients were given, which
//     ends and answers they were told, which processes it has killed;
//   - the ledger of the agents (package claudetest), synced before they go on:
//     which message began and ended in which process, how many live, whether two
//     have one conversation;
//   - iris: message.list, message.show and message.result.
//
// What must hold is in oracle.go, history.go, ends.go, limits.go and budgets.go. The summary is one line on standard output;
// what is broken follows on standard error, the exit status is then 1 and the
// directory of the run is kept.
//
// SIGKILL says nothing about power loss: the page cache survives. What is synced
// before what is the business of the tests of package journal, and so are kills
// during the daily prune, which no run is long enough for. Only root can set the
// clock, and for the whole machine: package store tests what a wrong one does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"iris/pool/claude/claudetest"
)

// options are the command line.
type options struct {
	iris    string
	rounds  int
	seed    uint64
	timeout time.Duration
	verbose bool
}

func main() {
	claudetest.Main() // the agents are this program
	var o options
	flag.StringVar(&o.iris, "iris", "", "the program to test; built from this module when empty")
	flag.IntVar(&o.rounds, "rounds", 25, "how often the daemon is killed")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the random choices; the moments of the system remain its own")
	flag.DurationVar(&o.timeout, "timeout", 0, "give up after this long; 0 is 2 minutes and 3 seconds a round")
	flag.BoolVar(&o.verbose, "v", false, "say what each round does")
	flag.Parse()
	if o.timeout == 0 {
		o.timeout = 2*time.Minute + time.Duration(o.rounds)*3*time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.seed%2 == 1 { // each way of a full disk in every second run
		if status, done := apart(ctx, o.seed); done {
			os.Exit(status)
		}
	}
	os.Exit(run(ctx, o, os.Stdout, os.Stderr))
}

// maxProblems is how many broken promises are spelled out.
const maxProblems = 40

// run is the whole test; it returns the exit status.
func run(ctx context.Context, o options, stdout, stderr io.Writer) int {
	if runtime.GOOS != "linux" {
		fmt.Fprintln(stderr, "crashtest: it finds the processes of a run in /proc, which only Linux has")
		return 2
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %v", o.timeout))
	defer cancel()
	h, err := newHome(ctx, o.iris)
	if err != nil {
		fmt.Fprintf(stderr, "crashtest: %v\n", err)
		return 2
	}
	d := newDriver(h, o)
	if h.tmpfs {
		d.report.disk = "tmpfs"
	} else {
		d.report.disk = "a limit"
	}
	if o.verbose {
		d.progress = stderr
	}
	begun := time.Now()
	err = d.drive(ctx)
	h.sweep()
	r := d.report
	fmt.Fprintf(stdout, "crashtest: %d rounds in %.1fs, seed %d: %s\n", d.round, time.Since(begun).Seconds(), o.seed, r.summary())
	if err != nil {
		r.problem("the test did not come to its end: %v", err)
	}
	if len(r.problems) == 0 {
		h.remove()
		return 0
	}
	for _, p := range r.problems[:min(len(r.problems), maxProblems)] {
		fmt.Fprintf(stderr, "crashtest: %s\n", p)
	}
	if err := h.unmount(true); err != nil {
		fmt.Fprintf(stderr, "crashtest: the state of iris is lost: %v\n", err)
	}
	fmt.Fprintf(stderr, "crashtest: %d promises broken; state, log and ledger are in %s\n", len(r.problems), h.dir)
	return 1
}
