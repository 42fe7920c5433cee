package daemon

import (
	"slices"
	"strings"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/turn"
)

func why(d *testDaemon, q ipc.WhyQuery) ipc.Why {
	d.t.Helper()
	return mustCall[ipc.Why](d, ipc.MethodWhy, q)
}

func TestWhySaysWhatAMessageWaitsForAndHowLongItWaited(t *testing.T) {
	d := startDaemon(t, "max_processes = 1\n"+fakeTeam(t, "api")+fakeTeam(t, "web"))
	gated, open := gate(t)
	first := submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	eventually(t, "the turn", func() bool { return show(d, first.ID).State == "running" })
	second := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	other := submit(d, ipc.Send{Team: "web", Text: "echo:x", TTL: time.Hour.Milliseconds()})
	m := why(d, ipc.WhyQuery{ID: second.ID}).Message
	if m == nil || m.State != "queued" || m.Position != 1 || !slices.Equal(m.WaitsFor, []string{"the turn before it"}) || m.Attempts[0].Began != nil {
		t.Errorf("behind a turn: got %+v", m)
	}
	if m := why(d, ipc.WhyQuery{ID: other.ID}).Message; !slices.Equal(m.WaitsFor, []string{"the only agent there may be"}) || m.Deadline == nil {
		t.Errorf("without room: got %+v", m)
	}
	if m := why(d, ipc.WhyQuery{ID: first.ID}).Message; m.State != "running" || m.Attempts[0].Began == nil || m.Attempts[0].Start == nil {
		t.Errorf("running: got %+v", m)
	}
	if w := why(d, ipc.WhyQuery{Team: "api"}).Team; w.Queued != 1 || w.WaitsFor != "the turn before it" || len(w.Live) != 1 || len(w.Gone) != 0 {
		t.Errorf("the team: got %+v", w)
	}
	time.Sleep(20 * time.Millisecond) // a wait that can be measured
	open()
	awaitEnd(d, second.ID)
	awaitEnd(d, other.ID)
	m = why(d, ipc.WhyQuery{ID: second.ID}).Message
	if a := m.Attempts; m.State != "done" || len(a) != 1 || m.Waited < 20 || m.Waited != a[0].Waited || a[0].Start != nil || len(m.WaitsFor) != 0 {
		t.Errorf("ended: got %+v", m)
	}
	if a := why(d, ipc.WhyQuery{ID: other.ID}).Message.Attempts[0]; a.Start == nil || *a.Start > a.Waited {
		t.Errorf("an agent was started for it: got %+v", a)
	}
	if a := why(d, ipc.WhyQuery{ID: first.ID}).Message.Attempts[0]; a.Start == nil || a.Took < 20 { // its agent is gone by now
		t.Errorf("the first: got %+v", a)
	}
}

func TestWhySaysThatAnUnknownMessageHoldsTheNext(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	lost := submit(d, ipc.Send{Team: "api", Text: "hang:deaf", OnUnknown: "hold"})
	killAgent(d, ledger, "hang:deaf")
	awaitEnd(d, lost.ID)
	next := submit(d, ipc.Send{Team: "api", Text: "echo:next"})
	if m := why(d, ipc.WhyQuery{ID: next.ID}).Message; !slices.Equal(m.WaitsFor, []string{"somebody to resolve message " + lost.ID}) {
		t.Errorf("got %+v", m)
	}
	mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID})
	killAgentAgain := func() {
		eventually(t, "the second run", func() bool { return len(begun(t, ledger)) == 2 })
		mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api"})
	}
	killAgentAgain()
	awaitEnd(d, lost.ID)
	a := why(d, ipc.WhyQuery{ID: lost.ID}).Message.Attempts
	if len(a) != 2 || a[0].State != "unknown" || a[1].State != "cancelled" || a[0].Process == a[1].Process || a[1].Ended == nil {
		t.Errorf("got %+v", a)
	}
}

func TestWhySaysThatAgentsDoNotStart(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api", `args = ["--fake-broken=/"]`))
	m := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	eventually(t, "the back-off", func() bool {
		w := why(d, ipc.WhyQuery{ID: m.ID}).Message
		return w.Broken != nil && w.Broken.Failures > 0 && w.Broken.Error != "" && slices.Equal(w.WaitsFor, []string{"the next try to start an agent"})
	})
	if w := why(d, ipc.WhyQuery{Team: "api"}).Team; len(w.Broken) != 1 {
		t.Errorf("got %+v", w)
	}
}

func TestWhySaysWhyAgentsWentAndWhatItCostToComeBack(t *testing.T) {
	d := startDaemon(t, "max_processes = 1\n"+fakeTeam(t, "api")+fakeTeam(t, "web"))
	first, err := ask(d, "api", "echo:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, team := range []string{"web", "api"} {
		if _, err := ask(d, team, "echo:x"); err != nil {
			t.Fatal(err)
		}
	}
	mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api"})
	last, err := ask(d, "api", "echo:2")
	if err != nil {
		t.Fatal(err)
	}
	w := why(d, ipc.WhyQuery{Team: "api"}).Team
	if w == nil || len(w.Gone) != 2 || w.Gone[0].Why != "killed" || w.Gone[1].Why != "made room for web" || w.Gone[1].Messages != 1 {
		t.Fatalf("got %+v", w)
	}
	if want := []ipc.WhyReason{{Why: "killed", Times: 1}, {Why: "made room for web", Times: 1}}; !slices.Equal(w.Reasons, want) {
		t.Errorf("got %+v", w.Reasons)
	}
	b := w.Gone[0].Back
	if b == nil || b.ID != w.Live[0].ID || b.Start <= 0 || b.Message != last.ID || b.CostUSD != last.CostUSD || b.CostUSD == 0 {
		t.Errorf("after the kill: got %+v, the cost was %v", b, last.CostUSD)
	}
	if b := w.Gone[1].Back; b == nil || b.ID != w.Gone[0].ID || b.Message == first.ID {
		t.Errorf("after the eviction: got %+v", b)
	}
	if sum := w.Gone[0].Back.Start + w.Gone[1].Back.Start; w.Back.Times != 2 || w.Back.Start != sum || w.Back.CostUSD <= b.CostUSD {
		t.Errorf("in all: got %+v", w.Back)
	}
	none := "other"
	if w := why(d, ipc.WhyQuery{Team: "api", Session: &none}).Team; len(w.Gone) != 0 || len(w.Live) != 0 || len(w.Reasons) != 0 {
		t.Errorf("another session: got %+v", w)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
	if g := why(d, ipc.WhyQuery{Team: "api"}).Team.Gone; len(g) != 3 || g[0].Why != "evicted" || g[0].Back != nil {
		t.Errorf("not back yet: got %+v", g)
	}
}

// The fake uses no cache, so the turns are put on record here.
func TestWhyComparesWhatWasCachedWithWhatWasWrittenAgain(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	d.stop()
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(-time.Hour)
	at := func(n int) time.Time { return now.Add(time.Duration(n) * time.Minute) }
	message := func(n int, process string, u turn.Usage) {
		id := ipc.FormatID(uint64(at(n).UnixMilli()), 1)
		_, err := j.AcceptAndDispatch(journal.New{ID: id, Team: "api", Body: []byte("x"), At: at(n)}, journal.Attempt{Process: process, At: at(n)})
		if err == nil {
			_, err = j.End(id, journal.End{State: journal.Done, At: at(n).Add(time.Second), Result: &journal.Result{Result: turn.Result{Outcome: turn.Success, Usage: u, CostUSD: 0.25}}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	end := func(n int, process string) journal.AgentEnd {
		return journal.AgentEnd{Team: "api", Process: process, PID: 1, Started: at(n), Ready: at(n).Add(3 * time.Second), Ended: at(n + 9), Why: "idle_timeout", Turns: 2}
	}
	message(1, "a", turn.Usage{CacheWrite: 7})
	message(2, "a", turn.Usage{CacheRead: 40_000, CacheWrite: 2_000})
	message(11, "b", turn.Usage{CacheRead: 1_000, CacheWrite: 41_000})
	message(12, "b", turn.Usage{CacheRead: 42_000, CacheWrite: 5})
	if err := j.RecordAgentEnds(end(0, "a"), end(10, "b")); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	d.run()
	g := why(d, ipc.WhyQuery{Team: "api"}).Team.Gone
	if len(g) != 2 || g[0].Back != nil || g[1].Back == nil || g[1].Start != 3000 {
		t.Fatalf("got %+v", g)
	}
	want := ipc.Return{
		ID: "b", After: time.Minute.Milliseconds(), Start: 3000, Message: g[1].Back.Message,
		Cached: 42_000, CacheRead: 1_000, CacheWrite: 41_000, CostUSD: 0.25,
	}
	if *g[1].Back != want {
		t.Errorf("got  %+v,\nwant %+v", *g[1].Back, want)
	}
}

func TestWhyRefusesWhatIsNeitherATeamNorAMessage(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	m := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	awaitEnd(d, m.ID)
	if got := why(d, ipc.WhyQuery{ID: m.ID[:12], Team: m.ID[:12]}).Message; got == nil || got.ID != m.ID {
		t.Errorf("the beginning of an id: got %+v", got)
	}
	if got := why(d, ipc.WhyQuery{ID: "api", Team: "api"}).Team; got == nil {
		t.Error("a team is not found")
	}
	for _, c := range []struct {
		q    ipc.WhyQuery
		want string
	}{
		{ipc.WhyQuery{ID: "apx", Team: "apx"}, `no team "apx"`},
		{ipc.WhyQuery{ID: "apxyz", Team: "apxyz"}, `no team "apxyz"`},
		{ipc.WhyQuery{ID: "0000", Team: "0000"}, `no message "0000"`},
		{ipc.WhyQuery{ID: strings.Repeat("0", 16)}, "no message"},
		{ipc.WhyQuery{Team: "nobody"}, `no team "nobody"`},
	} {
		_, err := call[ipc.Why](d, ipc.MethodWhy, c.q)
		wantCode(t, err, ipc.CodeNotFound, c.want)
	}
	if _, err := call[ipc.Why](d, ipc.MethodWhy, ipc.WhyQuery{}); err == nil {
		t.Error("an empty question is answered")
	}
}
