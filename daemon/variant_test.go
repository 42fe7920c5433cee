package daemon

import (
	"os"
	"strings"
	"testing"

	"iris/ipc"
	"iris/pool/turn"
)

// If a message with a model begins a new conversation because the old one is lost, the next
// message gets the usual model.
func TestModelIsLentToANewConversationToo(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api", `on_resume_failure = "fresh"`))
	if _, err := ask(d, "api", "echo:one"); err != nil {
		t.Fatal(err)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
	at := mustCall[ipc.Transcript](d, ipc.MethodLocate, ipc.MessageRef{Team: "api"})
	if err := os.Remove(at.Path); err != nil {
		t.Fatal(err)
	}
	lent := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "args", Options: turn.Variant{Model: "m1"}})
	if !strings.Contains(lent.Text, "--model=m1") || !strings.Contains(lent.Notice, "a new conversation was begun") {
		t.Fatalf("got %s, %q", lent.Text, lent.Notice)
	}
	after := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "args"})
	if got := after.Text; !strings.Contains(got, "--model=") || strings.Contains(got, "--model=m1") {
		t.Errorf("the next message has %s", got)
	}
}

// A waiting message is not sent with an option that its team no longer allows.
func TestTeamMayTakeBackWhatAMessageWants(t *testing.T) {
	team := fakeTeam(t, "api")
	d := startDaemon(t, team+`args = ["--allow-dangerously-skip-permissions"]`)
	first := submit(d, ipc.Send{Team: "api", Text: "hang:"}).ID
	eventually(t, "the turn", func() bool { return show(d, first).State == "running" })
	bold := submit(d, ipc.Send{Team: "api", Text: "args", Options: turn.Variant{PermissionMode: "bypassPermissions"}}).ID
	last := submit(d, ipc.Send{Team: "api", Text: "args"}).ID
	d.configure(team)
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: first})
	eventually(t, "the end of the message", func() bool { return show(d, bold).Ended != nil })
	_, err := call[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: bold})
	if err == nil || !strings.Contains(err.Error(), "nothing in args of team api allows that") {
		t.Errorf("got %v", err)
	}
	eventually(t, "the end of the next one", func() bool { return show(d, last).State == "done" })
}
