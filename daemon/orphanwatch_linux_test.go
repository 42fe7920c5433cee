package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/config/sys/systest"
	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// An orphaned is a daemon with an orphan, "a", in the middle of a message's turn that begins
// a new session (/clear).
type orphaned struct {
	*testDaemon
	id string // of the message
}

func newOrphaned(t *testing.T, toml string) *orphaned {
	t.Helper()
	systest.Needs(t, "flock")
	o := &orphaned{startDaemon(t, toml+"\n"+fakeTeam(t, "api", `on_resume_failure = "fresh"`)), "01m0000000000000"}
	o.stop()
	orphan(t, o.paths.Spool, "a", "", `,"given":0`)
	j, err := journal.Open(o.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.SetSession(conversation.Name(pool.Key{Team: "api"}), journal.Session{ID: "session-a", Used: true, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	m := journal.New{ID: o.id, Team: "api", Body: []byte("x"), At: time.Now()}
	if _, err := j.AcceptAndDispatch(m, journal.Attempt{Process: "a", Boot: procs.BootID(), At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	return o
}

// writes appends to the agent's output.
func (o *orphaned) writes(text string) {
	o.t.Helper()
	f, err := os.OpenFile(o.spool(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		o.t.Fatal(err)
	}
}

func (o *orphaned) spool() string { return filepath.Join(o.paths.Spool, "session-a.a.out") }

func (o *orphaned) lives() bool {
	found, err := claude.Orphans(o.paths.Spool)
	return err == nil && slices.ContainsFunc(found, func(l claude.Orphan) bool { return l.Process == "a" })
}

const (
	orphanRuns   = `{"type":"system","subtype":"session_state_changed","state":"running"}` + "\n"
	orphanResult = `{"type":"result","subtype":"success","is_error":false,"result":"the answer","session_id":"5a7e4a8e-0000-4000-8000-000000000000","num_turns":1,"stop_reason":"end_turn","terminal_reason":"completed"}` + "\n"
	orphanLater  = `{"type":"assistant","message":{"content":[{"type":"text","text":"of another turn"}]}}` + "\n"
)

// waitsFor waits until a message waits for this.
func (o *orphaned) waitsFor(id, what string) {
	o.t.Helper()
	c := o.client()
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found := false
	c.OnNotify = func(method string, params json.RawMessage) {
		if method == ipc.NotifyState && bytes.Contains(params, []byte(what)) {
			found = true
			cancel()
		}
	}
	if err := c.Call(ctx, ipc.MethodStream, ipc.Stream{ID: id, Place: true}, nil); !found {
		o.t.Fatalf("it does not wait for %s: %v", what, err)
	}
}

func TestOrphanedMessageIsSettledWhileItsAgentLives(t *testing.T) {
	o := newOrphaned(t, `orphan_grace = "1h"`)
	o.writes(orphanRuns)
	o.run()
	next := submit(o.testDaemon, ipc.Send{Team: "api", Text: "echo:next"})
	o.waitsFor(next.ID, "an agent of an earlier daemon to end its turn")
	half := len(orphanResult) / 2
	o.writes(orphanResult[:half])
	if got := show(o.testDaemon, o.id); got.State != "running" {
		t.Errorf("got %s before its end", got.State)
	}
	o.writes(orphanResult[half:])
	awaitEnd(o.testDaemon, o.id)
	if got := answer(o.testDaemon, o.id); got != "the answer" || !o.lives() {
		t.Errorf("got %q, and the agent lives: %v", got, o.lives())
	}
	o.waitsFor(next.ID, "an agent of an earlier daemon to end its background work")
	if list := mustCall[ipc.ProcessList](o.testDaemon, ipc.MethodList, struct{}{}); len(list.Processes) != 1 ||
		list.Processes[0].Why != "left over from an earlier daemon, its turn is over" {
		t.Errorf("got %+v", list.Processes)
	}

	// The output of the message ends with its turn, whatever the agent writes later.
	o.writes(orphanLater)
	if s, _, err := stream(o.testDaemon, ipc.Stream{ID: o.id}); err != nil || s.types() != "result" {
		t.Errorf("got %s, %v", s.types(), err)
	}

	// A daemon that follows at once has nothing to settle, and the agent still lives.
	if _, err := call[struct{}](o.testDaemon, ipc.MethodStop, ipc.StopParams{Restart: true}); err != nil {
		t.Fatal(err)
	}
	o.wg.Wait()
	o.run()
	o.waitsFor(next.ID, "an agent of an earlier daemon to end its background work")
	if got := show(o.testDaemon, next.ID); got.State != "queued" || !o.lives() {
		t.Errorf("got %s, and the agent lives: %v", got.State, o.lives())
	}
	if st := mustCall[ipc.Stopped](o.testDaemon, ipc.MethodKill, ipc.Target{Team: "api"}); len(st.Stopped) != 1 {
		t.Errorf("got %+v", st)
	}
	awaitEnd(o.testDaemon, next.ID)
	if got := answer(o.testDaemon, next.ID); got != "next" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(o.spool()); err == nil {
		t.Error("its spool is still there")
	}
}

func TestOrphanIsEndedAfterItsGrace(t *testing.T) {
	for name, written := range map[string]string{"answered": orphanRuns + orphanResult, "not begun": ""} {
		t.Run(name, func(t *testing.T) {
			o := newOrphaned(t, `orphan_grace = "100ms"`)
			o.writes(written)
			o.run()
			next := submit(o.testDaemon, ipc.Send{Team: "api", Text: "echo:next"})
			awaitEnd(o.testDaemon, next.ID)
			if got := answer(o.testDaemon, next.ID); got != "next" || o.lives() {
				t.Errorf("got %q, and the agent lives: %v", got, o.lives())
			}
			if got := show(o.testDaemon, o.id); got.State != "done" {
				t.Errorf("got %s: %s", got.State, got.Error)
			}
		})
	}
}

// The own turns of an agent after its message are counted once, when the agent is gone.
func TestOwnTurnsOfAnOrphanAreCounted(t *testing.T) {
	o := newOrphaned(t, `orphan_grace = "1h"`)
	o.writes(orphanRuns + orphanResult)
	o.run()
	awaitEnd(o.testDaemon, o.id)
	own := strings.Replace(orphanResult, `"num_turns":1`, `"num_turns":1,"total_cost_usd":0.25,"origin":{"kind":"task-notification"}`, 1)
	o.writes(orphanRuns + own)
	if st := mustCall[ipc.Stopped](o.testDaemon, ipc.MethodKill, ipc.Target{Team: "api"}); len(st.Stopped) != 1 {
		t.Errorf("got %+v", st)
	}
	eventually(t, "its own turn", func() bool { return mustCall[ipc.Status](o.testDaemon, ipc.MethodStatus, nil).OwnTurns == 1 })
	o.stop()
	o.run()
	sums := mustCall[ipc.UsageSums](o.testDaemon, ipc.MethodUsage, ipc.UsageQuery{By: "team"}).Sums
	if len(sums) != 1 || sums[0].Own.Turns != 1 || sums[0].Own.CostUSD != 0.25 {
		t.Errorf("got %+v", sums)
	}
}

// When the daemon stops and no other follows, an orphan whose turn is over is ended.
func TestOrphanWhoseTurnIsOverEndsWithTheDaemon(t *testing.T) {
	o := newOrphaned(t, `orphan_grace = "1h"`)
	o.writes(orphanRuns + orphanResult)
	o.run()
	awaitEnd(o.testDaemon, o.id)
	o.stop()
	if o.lives() {
		t.Error("it lives")
	}
	if _, err := os.Stat(o.spool()); err == nil {
		t.Error("its spool is still there")
	}
}

// An agent in the middle of its turn is not ended after orphan_grace.
func TestOrphanAtWorkHasNoGrace(t *testing.T) {
	o := newOrphaned(t, `orphan_grace = "10ms"`)
	o.writes(orphanRuns)
	looks := 0
	left, err := AwaitOrphans(t.Context(), AwaitOptions{Paths: o.paths, Hold: func() (func(), error) {
		if looks++; looks == 4 {
			if !o.lives() {
				t.Error("it was ended in its turn")
			}
			o.writes(orphanResult)
		}
		return func() {}, nil
	}})
	if left != 0 || err != nil || looks < 4 || o.lives() {
		t.Errorf("%d left after %d looks, %v, it lives: %v", left, looks, err, o.lives())
	}
	o.run()
	awaitEnd(o.testDaemon, o.id)
	if got := answer(o.testDaemon, o.id); got != "the answer" {
		t.Errorf("got %q", got)
	}
}

// Nobody gives the output of an orphan back to the disk.
func TestOrphanThatFillsTheDiskIsEnded(t *testing.T) {
	defer func(n int64) { claude.MaxSpool = n }(claude.MaxSpool)
	claude.MaxSpool = 64 << 10
	o := newOrphaned(t, `orphan_timeout = "1h"`)
	defer o.stop()
	o.writes(orphanRuns)
	o.run()
	o.writes(strings.Repeat(orphanLater, 1000))
	awaitEnd(o.testDaemon, o.id)
	if got := show(o.testDaemon, o.id); got.State != "unknown" || o.lives() {
		t.Errorf("got %s, and the agent lives: %v", got.State, o.lives())
	}
}
