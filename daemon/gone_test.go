package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// goneOn lists the agents of a journal that are gone, as TEAM: REASON (TURNS).
func goneOn(t *testing.T, j *journal.Journal) (all []string) {
	t.Helper()
	for e, err := range j.AgentEnds(journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Started.Before(e.Ready) || !e.Ready.Before(e.Ended) || e.PID == 0 || e.Process == "" {
			t.Errorf("got %+v", e)
		}
		all = append(all, fmt.Sprintf("%s: %s (%d)", e.Team, e.Why, e.Turns))
	}
	return all
}

func TestDaemonRecordsWhyAgentsWent(t *testing.T) {
	dir := t.TempDir()
	api := fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", dir, claudetest.Install(t.TempDir()))
	d := startDaemon(t, "max_processes = 1\n"+api+fakeTeam(t, "web")+fakeTeam(t, "brief", `idle_timeout = "10ms"`))
	send := func(team string) {
		t.Helper()
		mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: team, Text: "echo:hi"})
	}
	send("api")
	if err := os.WriteFile(filepath.Join(dir, "CLAUDE.md"), []byte("be brief"), 0o600); err != nil {
		t.Fatal(err)
	}
	send("api")
	send("api")
	send("web")
	mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "web"})
	send("brief")
	eventually(t, "an empty pool", func() bool { return mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Total == 0 })
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:hi", Fresh: true}) // is not kept
	send("web")
	d.stop()
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	want := []string{
		"api: CLAUDE.md changed (1)", "api: made room for web (2)", "brief: idle_timeout (1)", "web: killed (1)", "web: shutting down (1)",
	}
	if got := goneOn(t, j); !slices.Equal(got, want) {
		t.Errorf("got  %q,\nwant %q", got, want)
	}
}

func TestAgentThatIsGoneIsRecordedWithoutAnybodyAsking(t *testing.T) {
	_, d, td := startInside(t, fakeTeam(t, "api"))
	mustCall[ipc.Reply](td, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:hi"})
	mustCall[ipc.Stopped](td, ipc.MethodEvict, ipc.Target{Team: "api"})
	eventually(t, "the record", func() bool { return slices.Equal(goneOn(t, d.store.Journal), []string{"api: evicted (1)"}) })
}
