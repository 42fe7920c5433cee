package journal

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"
)

func agentEnd(n int, team, session string) AgentEnd {
	return AgentEnd{
		Team: team, Session: session, Process: "p-" + strconv.Itoa(n), PID: 100 + n,
		Started: at(n - 2), Ready: at(n - 1), Ended: at(n), Why: "idle_timeout", Turns: n, Own: 1,
	}
}

func mustRecordEnds(t testing.TB, j *Journal, ends ...AgentEnd) {
	t.Helper()
	if err := j.RecordAgentEnds(ends...); err != nil {
		t.Fatal(err)
	}
}

func processes(t testing.TB, j *Journal, f Filter) (got []string) {
	t.Helper()
	for e, err := range j.AgentEnds(f) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Process)
	}
	return got
}

func TestEndsOfAgentsAreKept(t *testing.T) {
	j, path := tempJournal(t)
	if got := processes(t, j, Filter{}); got != nil {
		t.Errorf("got %v", got)
	}
	mustRecordEnds(t, j, agentEnd(0, "web", ""), agentEnd(1, "api", ""), agentEnd(2, "api", "s"))
	mustRecordEnds(t, j, agentEnd(3, "api2", ""), agentEnd(4, "api", ""))
	mustRecordEnds(t, j, agentEnd(4, "api", "")) // the same once more
	j.Close()
	j = mustOpen(t, path)
	plain := ""
	for what, c := range map[string]struct {
		f    Filter
		want []string
	}{
		"all":     {Filter{}, []string{"p-1", "p-2", "p-4", "p-3", "p-0"}},
		"team":    {Filter{Team: "api"}, []string{"p-1", "p-2", "p-4"}},
		"session": {Filter{Team: "api", Session: &plain}, []string{"p-1", "p-4"}},
		"since":   {Filter{Since: at(2)}, []string{"p-2", "p-4", "p-3"}},
		"both":    {Filter{Team: "api", Since: at(3)}, []string{"p-4"}},
		"none":    {Filter{Team: "ap"}, nil},
		"ever":    {Filter{Team: "api", Since: time.Unix(-1, 0)}, []string{"p-1", "p-2", "p-4"}},
		"future":  {Filter{Since: at(0).AddDate(1000, 0, 0)}, nil},
	} {
		if got := processes(t, j, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", what, got, c.want)
		}
	}
	for e, err := range j.AgentEnds(Filter{Team: "web"}) {
		want := agentEnd(0, "web", "")
		if same := e.Started.Equal(want.Started) && e.Ready.Equal(want.Ready) && e.Ended.Equal(want.Ended); err != nil || !same {
			t.Errorf("got %+v, %v", e, err)
		}
		if e.Started, e.Ready, e.Ended = want.Started, want.Ready, want.Ended; e != want {
			t.Errorf("got %+v, want %+v", e, want)
		}
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
	if p, err := j.Prune(context.Background(), at(2), at(2)); err != nil || p.Agents != 2 {
		t.Errorf("pruned %+v, %v", p, err)
	}
	if got := processes(t, j, Filter{}); !slices.Equal(got, []string{"p-2", "p-4", "p-3"}) {
		t.Errorf("left: %v", got)
	}
}

// More than one transaction reads or removes.
func TestManyEndsOfAgents(t *testing.T) {
	j, _ := tempJournal(t)
	var ends []AgentEnd
	for n := range chunk + 10 { // of many teams, so that all are kept
		ends = append(ends, agentEnd(n, "team"+strconv.Itoa(n%100), ""))
	}
	mustRecordEnds(t, j, ends...)
	if n := len(processes(t, j, Filter{})); n != chunk+10 {
		t.Errorf("%d are read", n)
	}
	if n := len(processes(t, j, Filter{Since: at(chunk)})); n != 10 {
		t.Errorf("%d are read since", n)
	}
	if p, err := j.Prune(context.Background(), at(chunk), at(0)); err != nil || p.Agents != chunk {
		t.Errorf("pruned %+v, %v", p, err)
	}
	if n := len(processes(t, j, Filter{})); n != 10 {
		t.Errorf("%d are left", n)
	}
}

func TestTeamThatCrashesDoesNotFillTheJournal(t *testing.T) {
	j, _ := tempJournal(t)
	mustRecordEnds(t, j, agentEnd(0, "ap", ""), agentEnd(0, "api2", ""))
	var ends []AgentEnd
	for n := range 3 * endsADay {
		ends = append(ends, agentEnd(n, "api", ""))
	}
	mustRecordEnds(t, j, ends...)
	got := processes(t, j, Filter{Team: "api"})
	if len(got) != endsADay || got[0] != "p-"+strconv.Itoa(2*endsADay) {
		t.Errorf("%d are kept, the first is %v", len(got), got[:1])
	}
	later := agentEnd(0, "api", "")
	later.Ended = at(3 * endsADay).Add(48 * time.Hour)
	mustRecordEnds(t, j, later)
	if n := len(processes(t, j, Filter{Team: "api"})); n != endsADay+1 {
		t.Errorf("%d are kept of two days", n)
	}
	if n := len(processes(t, j, Filter{})); n != endsADay+3 {
		t.Errorf("%d are kept with those of other teams", n)
	}
}

func TestDamagedEndOfAnAgentIsNamed(t *testing.T) {
	j, path := tempJournal(t)
	for n := range 3 {
		mustRecordEnds(t, j, agentEnd(n, "api", ""))
	}
	j.Close()
	overwrite(t, path, []byte(`"process":"p-1"`), []byte(`"process":"p-x"`))
	j = mustOpen(t, path)
	var damage *DamageError
	var got []string
	for e, err := range j.AgentEnds(Filter{Team: "api"}) {
		if !errors.As(err, &damage) {
			got = append(got, e.Process)
		}
	}
	if damage == nil || !slices.Equal(got, []string{"p-0", "p-2"}) {
		t.Errorf("got %v, damage: %v", got, damage)
	}
	if err := j.Check(); err == nil {
		t.Error("Check finds nothing")
	}
}

func TestSnapshotHasTheEndsOfAgents(t *testing.T) {
	j, path := tempJournal(t)
	mustRecordEnds(t, j, agentEnd(1, "api", ""))
	if err := j.Snapshot(path + ".copy"); err != nil {
		t.Fatal(err)
	}
	if got := processes(t, mustOpen(t, path+".copy"), Filter{}); !slices.Equal(got, []string{"p-1"}) {
		t.Errorf("got %v", got)
	}
}

func TestEarlierJournalTakesEndsOfAgents(t *testing.T) {
	for _, name := range []string{"version2", "version3"} {
		j := mustOpen(t, earlier(t, name))
		if got := processes(t, j, Filter{}); got != nil {
			t.Errorf("%s: got %v", name, got)
		}
		mustRecordEnds(t, j, agentEnd(1, "api", ""))
		if got := processes(t, j, Filter{}); !slices.Equal(got, []string{"p-1"}) {
			t.Errorf("%s: got %v", name, got)
		}
		if err := j.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
