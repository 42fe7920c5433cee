package daemon

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// anyDirectory returns a configuration in which each directory has the scripted agent, and such
// a directory.
func anyDirectory(t *testing.T) (toml, dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("command = %q\n", claudetest.Install(t.TempDir())), dir
}

// conversations lists those on record as "TEAM SESSION".
func conversations(d *testDaemon) (names []string, ids map[string]string) {
	d.t.Helper()
	ids = map[string]string{}
	for _, c := range mustCall[ipc.ConversationList](d, ipc.MethodSessions, struct{}{}).Conversations {
		name := c.Team + " " + c.Session
		names, ids[name] = append(names, name), c.SessionID
	}
	return names, ids
}

// A directory that becomes a team keeps its conversations, and its agents go.
func TestConversationsOfADirectoryMoveToItsTeam(t *testing.T) {
	toml, dir := anyDirectory(t)
	d := startDaemon(t, toml)
	for _, session := range []string{"", "s"} {
		if end := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: dir, Session: session, Text: "echo:x"}); end.Text != "x" {
			t.Fatalf("got %+v", end)
		}
	}
	_, before := conversations(d)
	d.configure(toml + fmt.Sprintf("[teams.api]\ndir = %q\n", dir))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})

	move := ipc.Move{From: dir, To: "api", Check: true}
	mustCall[ipc.ConversationList](d, ipc.MethodMove, move)
	if names, _ := conversations(d); !slices.Equal(names, []string{dir + " ", dir + " s"}) {
		t.Fatalf("only checked: %q", names)
	}
	move.Check = false
	if moved := mustCall[ipc.ConversationList](d, ipc.MethodMove, move).Conversations; len(moved) != 2 || moved[1].Team != "api" || moved[1].Session != "s" {
		t.Errorf("moved %+v", moved)
	}
	if list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes; len(list) > 0 {
		t.Errorf("left: %+v", list)
	}
	names, after := conversations(d)
	if !slices.Equal(names, []string{"api ", "api s"}) || after["api "] != before[dir+" "] || after["api s"] != before[dir+" s"] {
		t.Errorf("got %v, from %v", after, before)
	}
	if end := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: dir, Text: "count"}); end.Team != "api" || end.Text != "2" {
		t.Errorf("it goes on with %q of %s", end.Text, end.Team)
	}
}

// What cannot be moved now is refused, and nothing is changed.
func TestMoveIsRefused(t *testing.T) {
	toml, dir := anyDirectory(t)
	d := startDaemon(t, toml+"[teams.api]\ndir = \"/\"\n")
	gated, open := gate(t)
	long := submit(d, ipc.Send{Team: dir, Text: "sleep:@" + gated})
	eventually(t, "the turn", func() bool { return show(d, long.ID).State == "running" })
	for _, move := range []ipc.Move{{From: dir, To: "web", Check: true}, {From: dir, To: "web"}} {
		_, err := call[ipc.ConversationList](d, ipc.MethodMove, move)
		wantCode(t, err, ipc.CodeFull, "message "+long.ID+" is running")
	}
	waits := submit(d, ipc.Send{Team: dir, Session: "new", Text: "echo:y"}) // has no conversation yet
	awaitEnd(d, waits.ID)
	open()
	awaitEnd(d, long.ID)

	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	_, err := call[ipc.ConversationList](d, ipc.MethodMove, ipc.Move{From: dir, To: "api"})
	wantCode(t, err, ipc.CodeUsage, "team api has a conversation already")
	_, err = call[ipc.ConversationList](d, ipc.MethodMove, ipc.Move{From: dir, To: "../x"})
	wantCode(t, err, ipc.CodeUsage, "team name")
	if names, _ := conversations(d); !slices.Equal(names, []string{dir + " ", dir + " new", "api "}) {
		t.Errorf("got %q", names)
	}
	if _, err := ask(d, dir, "echo:z"); err != nil { // it is not held
		t.Error(err)
	}
}

// The agents of a team that is removed go, a busy one after its turn; until then every name in
// ps can be killed. Its conversation stays, and can be forgotten by that name.
func TestAgentsOfARemovedTeamGo(t *testing.T) {
	toml := fakeTeam(t, "api")
	d := startDaemon(t, toml)
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	gated, _ := gate(t)
	long := submit(d, ipc.Send{Team: "api", Session: "s", Text: "sleep:@" + gated})
	eventually(t, "the turn", func() bool { return show(d, long.ID).State == "running" })
	d.configure("")
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	var list []ipc.Process
	eventually(t, "the end of the idle agent", func() bool {
		list = mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes
		return len(list) == 1
	})
	if list[0].Session != "s" || list[0].State != "busy" {
		t.Errorf("got %+v", list)
	}
	_, err := call[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api"})
	wantCode(t, err, ipc.CodeNotFound, "no agent of team api is running")
	if killed := mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api", AllSessions: true}).Stopped; len(killed) != 1 || killed[0].Session != "s" {
		t.Errorf("killed %+v", killed)
	}
	_, err = call[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api"})
	wantCode(t, err, ipc.CodeNotFound, `no team "api"`)
	mustCall[ipc.Conversation](d, ipc.MethodReset, ipc.Target{Team: "api", Session: "s"})
	if names, _ := conversations(d); !slices.Equal(names, []string{"api "}) {
		t.Errorf("got %q", names)
	}
}
