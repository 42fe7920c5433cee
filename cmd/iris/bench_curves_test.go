//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"iris/ipc"
)

// BenchmarkCurves measures how costs grow with what iris has to do with: teams,
// messages on record, live agents, followers, bytes. It prints a table at its end. The
// ratio of a line, of its last value to its first, is what counts. A row is chosen by
// its name, for example with "-bench Curves/usage".
//
//	go test ./cmd/iris -run '^$' -bench Curves -benchtime 1x
func BenchmarkCurves(b *testing.B) {
	r := newCurveRig(b)
	var table []lineOf
	for _, row := range curves {
		if row.name == "prune" && testing.Short() { // a daemon prunes a minute after its start
			continue
		}
		b.Run(row.name, func(b *testing.B) {
			var lines []line
			for b.Loop() {
				if lines == nil {
					lines = row.measure(r.of(b))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(lines[0].growth(), "x-growth")
			for _, l := range lines {
				table = append(table, lineOf{row.name, l})
			}
		})
	}
	printCurves(table)
}

// curves are the rows, in the order of the table. Those that fill the machine come last.
var curves = []struct {
	name    string
	measure func(*curveRig) []line
}{
	{"config", curveConfig},
	{"teamadd", curveTeamAdd},
	{"unknown", curveUnknown},
	{"usage", curveUsage},
	{"messages", curveMessages},
	{"journal", curveJournal},
	{"prune", curvePrune},
	{"logs", curveLogs},
	{"events", curveEvents},
	{"socket", curveSocket},
	{"ps", curvePs},
	{"start", curveStart},
}

// A line is one quantity at several sizes.
type line struct {
	what   string // with its unit
	wanted string
	at     []point
}

type point struct {
	size  string
	value float64
}

type lineOf struct {
	row string
	line
}

// growth is the last value as a multiple of the first.
func (l *line) growth() float64 { return l.at[len(l.at)-1].value / l.at[0].value }

// ratio is the growth for the table; empty for a single value.
func (l *line) ratio() string {
	if len(l.at) == 1 {
		return ""
	}
	return "x" + digits(l.growth())
}

// add adds the value at a size.
func (l *line) add(size any, value float64) { l.at = append(l.at, point{fmt.Sprint(size), value}) }

func printCurves(table []lineOf) {
	if len(table) == 0 {
		return
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nROW\tWHAT\tVALUE AT EACH SIZE\t\t\tRATIO\tWANTED")
	for _, l := range table {
		var cells [3]string
		for i, p := range l.at {
			cells[i] = fmt.Sprintf("%s: %s", p.size, digits(p.value))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.row, l.what, strings.Join(cells[:], "\t"), l.ratio(), l.wanted)
	}
	w.Flush()
}

// digits is a number with three digits, or all of a large one.
func digits(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// A curveRig is what the rows share: the built program, and what is costly to make. The
// rig outlives the rows; a row has a copy with its own b.
type curveRig struct {
	b    *testing.B
	iris string
	*curveStock
}

// A curveStock is made when a row first needs it.
type curveStock struct {
	parent   *testing.B
	journals map[int]string // paths, by number of messages
	crowds   []*house       // with few and with many live agents
}

func newCurveRig(b *testing.B) *curveRig {
	return &curveRig{b: b, curveStock: &curveStock{parent: b, journals: map[int]string{}}}
}

// of returns the rig for a row.
func (r *curveRig) of(b *testing.B) *curveRig {
	if r.iris == "" {
		r.iris = buildIris(r.parent)
	}
	return &curveRig{b, r.iris, r.curveStock}
}

// house makes a house that is gone after the row.
func (r *curveRig) house(toml string) *house { return newHouse(r.b, r.iris, toml) }

// as returns the house for another benchmark.
func (h *house) as(b testing.TB) *house {
	other := *h
	other.b = b
	return &other
}

// sizes are the numbers of messages on record, or of teams; with -short they are small.
func sizes(all ...int) []int {
	for i := range all {
		all[i] = few(all[i], max(all[i]/100, 10))
	}
	return all
}

// ownCPU is the processor time that f takes of this process.
func ownCPU(b testing.TB, f func()) time.Duration {
	b.Helper()
	var before, after syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	f()
	if err == nil {
		err = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	}
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
}

// commandCPU runs a command and returns its processor time.
func commandCPU(b testing.TB, cmd *exec.Cmd) time.Duration {
	b.Helper()
	silently(b, cmd)
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// daemonCPU is the processor time that f costs a daemon, without what the daemon takes
// all the time, which idle says.
func daemonCPU(b *testing.B, pid int, idle float64, f func()) time.Duration {
	b.Helper()
	before, _ := work(b, pid)
	took := taking(f)
	after, _ := work(b, pid)
	return after - before - time.Duration(idle*float64(took))
}

// rest waits until a daemon has done what it still has to do, such as sending events.
func rest(b *testing.B, pid int) {
	b.Helper()
	const look = 200 * time.Millisecond
	for end := time.Now().Add(longEnough); time.Now().Before(end); {
		if daemonCPU(b, pid, 0, func() { time.Sleep(look) }) < look/20 {
			return
		}
	}
}

// idleLoad is the part of a processor that a daemon takes while nothing is asked of it.
func idleLoad(b *testing.B, pid int) float64 {
	b.Helper()
	rest(b, pid)
	d := few2(5*time.Second, 100*time.Millisecond)
	return float64(daemonCPU(b, pid, 0, func() { time.Sleep(d) })) / float64(d)
}

// wakeAll starts an agent of the team for each session from s0 to s(n-1), some at a time.
func (h *house) wakeAll(team string, n int) {
	h.b.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		c := h.dial()
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if _, err := c.Wake(context.Background(), ipc.Target{Team: team, Session: fmt.Sprintf("s%d", i)}); err != nil {
					h.b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// fakeTeam is the table of a team of the scripted fake agent.
func (h *house) fakeTeam(name string) string {
	h.b.Helper()
	program, err := exec.LookPath("fakeclaude")
	if err != nil {
		h.b.Fatal(err)
	}
	return fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\n", name, h.mkdir(filepath.Join("project", name)), program)
}
