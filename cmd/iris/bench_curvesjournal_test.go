//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/claude"
	"iris/pool/turn"
)

func recorded() []int { return sizes(1000, 10_000, 100_000) }

// filled returns the path of a journal with n messages that are done, of the last 30
// days. Each has a text of 280 bytes and an answer of 1 KB.
func (r *curveRig) filled(n int) string {
	if r.journals[n] == "" {
		path := filepath.Join(r.parent.TempDir(), "journal")
		fillJournal(r.b, path, n)
		r.journals[n] = path
	}
	return r.journals[n]
}

// fillJournal has as many senders at once as a pool has agents: the messages of one
// transaction lie together, and more senders would leave more of its pages half empty.
func fillJournal(b *testing.B, path string, n int) {
	b.Helper()
	j, err := journal.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	begin := time.Now().Add(-30 * 24 * time.Hour)
	step := 30 * 24 * time.Hour / time.Duration(n)
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := recordMessage(j, i, begin.Add(time.Duration(i)*step)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := j.SetPruneTimes(journal.PruneTimes{Last: time.Now().Add(-24 * time.Hour)}); err != nil {
		b.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

// recordMessage records message i as a daemon does: its acceptance with its turn, and
// its end.
func recordMessage(j *journal.Journal, i int, at time.Time) error {
	id := ipc.FormatID(uint64(at.UnixMilli()), uint32(i))
	m := journal.New{
		ID: id, Team: "echo", Session: fmt.Sprintf("s%d", i%50), Body: []byte(words(i, 280)),
		Options: journal.Options{OnUnknown: "hold"}, At: at,
	}
	a := journal.Attempt{
		Process: fmt.Sprintf("k3x7-%d", i%50), Offset: int64(i) * 3000, UUID: claude.NewSessionID(),
		Boot: "0f375f4e-adfc-495e-846b-53161811ac06", At: at,
	}
	if _, err := j.AcceptAndDispatch(m, a); err != nil {
		return err
	}
	_, err := j.End(id, journal.End{State: journal.Done, At: at.Add(time.Second), Result: &journal.Result{Result: turn.Result{
		Outcome: turn.Success, Text: words(i, 1024), SessionID: a.UUID, Subtype: "success", Stop: "end_turn", Terminal: "completed",
		Turns: 1, CostUSD: 0.0123, Duration: 987 * time.Millisecond, API: 876 * time.Millisecond, Model: "claude-opus-4-8",
		Usage: turn.Usage{Input: 12, Output: 345, CacheRead: 23456, CacheWrite: 789},
	}}})
	return err
}

// words is a text of n bytes that compresses about as well as English.
func words(seed, n int) string {
	const syllables = "the of and to in is it that for was on are as with his they be at one have this from or had by hot but some what there we can out other were all your when up use word how said an each she "
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	var text strings.Builder
	for text.Len() < n {
		at := r.IntN(len(syllables) - 8)
		text.WriteString(syllables[at : at+1+r.IntN(7)])
	}
	return text.String()[:n]
}

// houseWith makes a house whose daemon has n messages on record.
func (r *curveRig) houseWith(n int, toml string) *house {
	path := r.filled(n)
	h := r.house(toml)
	h.mkdir("state/iris")
	copyFile(r.b, path, h.journal())
	h.daemon()
	return h
}

func (h *house) journal() string { return filepath.Join(h.dir, "state", "iris", "journal") }

func copyFile(b *testing.B, from, to string) {
	b.Helper()
	in, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		b.Fatal(err)
	}
}

func megabytes(b *testing.B, path string) float64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size()) / 1e6
}

// whole measures a command in houses of all numbers of messages, in turns.
func (r *curveRig) whole(l line, rounds int, args ...string) []line {
	var commands []func()
	for _, n := range recorded() {
		h := r.houseWith(n, "")
		commands = append(commands, func() { silently(r.b, h.command(args...)) })
	}
	for i, t := range inTurns(rounds, commands...) {
		l.add(recorded()[i], ms(t.median()))
	}
	return []line{l}
}

func curveUnknown(r *curveRig) []line {
	return r.whole(line{what: "iris messages --state unknown, of none, wall ms", wanted: "flat"}, few(9, 2), "messages", "--state", "unknown")
}

func curveUsage(r *curveRig) []line {
	return r.whole(line{what: "iris usage, wall ms", wanted: "<= 20 ms"}, few(5, 2), "usage")
}

// curveMessages lists all messages, and looks at the daemon's memory before and some
// seconds after.
func curveMessages(r *curveRig) []line {
	wall := line{what: "iris messages -n 0, wall ms", wanted: "linear, a third of 9,257"}
	lines := []line{wall}
	for _, l := range []string{"daemon RSS before, MB", "daemon RSS after, MB", "daemon anonymous memory before, MB", "daemon anonymous memory after, MB"} {
		lines = append(lines, line{what: l, wanted: "after = before"})
	}
	for _, n := range recorded() {
		h := r.houseWith(n, "")
		pid := h.daemon()
		lines[1].add(n, resident(r.b, pid)/1e6)
		lines[3].add(n, anonymous(r.b, pid)/1e6)
		var all times
		for range few(2, 1) {
			all = append(all, taking(func() { silently(r.b, h.command("messages", "-n", "0")) }))
		}
		time.Sleep(few2(10*time.Second, 0))
		lines[0].add(n, ms(all.at(0)))
		lines[2].add(n, resident(r.b, pid)/1e6)
		lines[4].add(n, anonymous(r.b, pid)/1e6)
	}
	return lines
}

func curveJournal(r *curveRig) []line {
	size := line{what: "journal, bytes a message on disk", wanted: "<= 2,200"}
	for _, n := range recorded() {
		size.add(n, megabytes(r.b, r.filled(n))*1e6/float64(n))
	}
	return []line{size}
}

// curvePrune sends messages before and while a daemon checks, prunes and compacts its
// journal, which begins a minute after its start.
func curvePrune(r *curveRig) []line {
	const n = 100_000
	h := r.houseWith(n, "retention = \"1h\"\n")
	begin := time.Now().Add(time.Minute)
	size, pid := megabytes(r.b, h.journal()), h.daemon()
	send := func() { silently(r.b, h.command("send", "echo", "hi")) }
	var before, meanwhile times
	cpu := daemonCPU(r.b, pid, 0, func() { before = timesUntil(send, func() bool { return time.Until(begin) < 2*time.Second }) })
	each := cpu / time.Duration(len(before))
	time.Sleep(time.Until(begin))
	next := begin
	over := func() bool { // asked seldom: what reads a long log between two sends is felt by the second
		if time.Now().Before(next) {
			return false
		}
		next = time.Now().Add(5 * time.Second)
		return h.compacted()
	}
	cpu = daemonCPU(r.b, pid, 0, func() { meanwhile = timesUntil(send, over) })
	cpu -= each * time.Duration(len(meanwhile))
	pruned, compacted := h.logged("journal pruned"), h.logged("journal compacted")
	at := fmt.Sprint(n)
	return []line{
		{"check and prune, wall ms", "", []point{{at, ms(pruned.Sub(begin))}}},
		{"compact, wall ms", "", []point{{at, ms(max(0, compacted.Sub(pruned)))}}},
		{"both, daemon CPU ms without that of the sends", "", []point{{at, ms(cpu)}}},
		{"iris send before and meanwhile, p50 ms", "<= 1.1x", []point{{"before", ms(before.median())}, {"meanwhile", ms(meanwhile.median())}}},
		{"the same, p95 ms", "", []point{{"before", ms(before.at(0.95))}, {"meanwhile", ms(meanwhile.at(0.95))}}},
		{"size of the journal, MB", "it shrinks", []point{{"before", size}, {"after", megabytes(r.b, h.journal())}}},
	}
}

// timesUntil are those of f, again and again until it is over.
func timesUntil(f func(), over func() bool) (all times) {
	for !over() {
		all = append(all, taking(f))
	}
	return all
}

// compacted reports whether the daemon has compacted its journal after a prune, or has
// had a minute for it.
func (h *house) compacted() bool {
	pruned := h.logged("journal pruned")
	return !h.logged("journal compacted").IsZero() || !pruned.IsZero() && time.Since(pruned) > longEnough
}

// logged is when the daemon last logged something; zero if it has not.
func (h *house) logged(what string) (at time.Time) {
	log, err := os.ReadFile(filepath.Join(h.dir, "state", "iris", "iris.log"))
	if err != nil {
		h.b.Fatal(err)
	}
	for l := range strings.Lines(string(log)) {
		var record struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(l), &record) == nil && record.Msg == what {
			at = record.Time
		}
	}
	return at
}
