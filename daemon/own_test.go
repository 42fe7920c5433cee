package daemon

import (
	"reflect"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

var api = pool.Key{Team: "api", Session: "s"}

func TestOwnTurnIsToldCountedAndRecorded(t *testing.T) {
	_, d, _ := startInside(t, fakeTeam(t, "api"))
	proc, err := d.pool.Wake(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	turn := claude.OwnTurn{
		Origin: claude.OriginScheduler, At: at, Text: "secret", CostUSD: 0.0123, Usage: turn.Usage{Input: 7}, Model: "m",
	}
	d.agents.OwnTurn(api, proc.ID, &turn)
	turn.Err, turn.At, turn.CostUSD = "secret, too", at.Add(1), 0
	d.agents.OwnTurn(api, proc.ID, &turn)
	var told []string
	events, _, _ := d.pool.Events(0)
	for _, e := range events {
		if e.Type == pool.OwnTurn {
			told = append(told, e.Detail)
		}
	}
	if want := []string{"scheduler: $0.0123", "scheduler: failed, $0.0000"}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	turns, costs := d.agents.OwnTotals()
	if messages, spent := d.delivery.Totals(); turns != 2 || costs != 12300 || messages != 0 || spent != 0 {
		t.Error("counted wrongly")
	}
	n := 0
	for o, err := range d.store.Owns(journal.Filter{Team: "api"}) {
		if n++; err != nil || o.Session != "s" || o.Origin != "scheduler" || o.Usage.Input != 7 || o.Model != "m" {
			t.Errorf("on record: %+v, %v", o, err)
		}
	}
	if n != 2 {
		t.Errorf("%d on record", n)
	}
}

func TestAgentThatWorksByItselfIsShown(t *testing.T) {
	_, d, td := startInside(t, fakeTeam(t, "api"))
	proc, err := d.pool.Wake(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	d.pool.Works(proc.ID, "subagents: tests")
	d.pool.OwnTurn(proc.ID, "task-notification: $0.01")
	p := mustCall[ipc.ProcessList](td, ipc.MethodList, nil).Processes[0]
	if p.State != "busy" || p.Works != "subagents: tests" || p.Own != 1 || p.TurnSince == nil || p.Why != "works by itself: subagents: tests" {
		t.Errorf("got %+v", p)
	}
	d.pool.Works(proc.ID, "")
	if p := mustCall[ipc.ProcessList](td, ipc.MethodList, nil).Processes[0]; p.State != "idle" || p.Works != "" || p.Own != 1 {
		t.Errorf("got %+v", p)
	}
}

func TestUsageKeepsOwnTurnsApart(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "web"))
	if _, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:hi"}); err != nil {
		t.Fatal(err)
	}
	d.stop()
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	for n, o := range []journal.Own{{Team: "api"}, {Team: "api", Session: "s"}, {Team: "web"}} {
		o.At, o.Origin, o.CostUSD, o.Usage = at.Add(time.Duration(n)), "scheduler", 0.5, turn.Usage{Input: 100}
		if err := j.RecordOwn(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	d.run()
	half := ipc.OwnSum{Turns: 1, CostUSD: 0.5, Usage: ipc.Usage{Input: 100}}
	one := ipc.OwnSum{Turns: 2, CostUSD: 1, Usage: ipc.Usage{Input: 200}}
	sums := mustCall[ipc.UsageSums](d, ipc.MethodUsage, ipc.UsageQuery{By: "team"}).Sums
	if len(sums) != 2 || sums[0].Own != one || sums[0].Messages != 1 || sums[1].Own != half || sums[1].Messages != 0 || sums[1].CostUSD != 0 {
		t.Errorf("by team: %+v", sums)
	}
	sums = mustCall[ipc.UsageSums](d, ipc.MethodUsage, ipc.UsageQuery{By: "session", Team: "api"}).Sums
	if len(sums) != 2 || sums[0].Own != half || sums[0].Messages != 1 || *sums[1].Session != "s" || sums[1].Own != half || sums[1].Messages != 0 {
		t.Errorf("by session: %+v", sums)
	}
	sums = mustCall[ipc.UsageSums](d, ipc.MethodUsage, ipc.UsageQuery{By: "day", Since: at.Add(time.Nanosecond)}).Sums
	var total ipc.UsageSum
	for i := range sums {
		total.Add(&sums[i])
	}
	if total.Own != one || total.Messages != 0 {
		t.Errorf("by day: %+v", sums)
	}
}
