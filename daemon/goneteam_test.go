package daemon

import (
	"os"
	"strings"
	"testing"

	"iris/ipc"
)

// Messages for a team that is removed from the configuration are held, and can be cancelled.
// They run when the team is back.
func TestMessageOfATeamThatIsGoneIsHeld(t *testing.T) {
	toml := fakeTeam(t, "api")
	d := startDaemon(t, toml)
	gated, open := gate(t)
	long := submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	waits := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	unwanted := submit(d, ipc.Send{Team: "api", Text: "echo:y"})
	eventually(t, "the turn", func() bool { return show(d, long.ID).State == "running" })
	d.configure("")
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	open()
	if end := awaitEnd(d, long.ID); end.State != "done" {
		t.Errorf("the running turn: %+v", end)
	}
	eventually(t, "the agent's end, and the try to start another one", func() bool {
		return len(details(d, "process-error")) > 0
	})
	const held = `held: it waits for team "api" to be in the configuration again`
	eventually(t, "the hold", func() bool { return show(d, waits.ID).Error == held })
	if m := show(d, waits.ID); m.State != "queued" {
		t.Fatalf("got %s: %s", m.State, m.Error)
	}
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: unwanted.ID})
	if m := show(d, unwanted.ID); m.State != "cancelled" {
		t.Errorf("cancelled: got %s", m.State)
	}
	d.configure(toml)
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v: %s", end, show(d, waits.ID).Error)
	}
}

// A new daemon also holds a message of such a team.
func TestMessageOfATeamThatIsGoneOutlivesTheDaemon(t *testing.T) {
	toml := fakeTeam(t, "api")
	d := startDaemon(t, toml)
	gated, open := gate(t)
	submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	waits := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	d.configure("drain_timeout = \"1ms\"\n")
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	open()
	d.stop()
	d.run()
	if m := show(d, waits.ID); m.State != "queued" && m.State != "done" {
		t.Fatalf("got %s: %s", m.State, m.Error)
	}
	d.configure(toml)
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v: %s", end, show(d, waits.ID).Error)
	}
}

// An editor or a checkout may remove the file for a moment: the old configuration stays.
func TestConfigurationThatIsMissingStaysInForce(t *testing.T) {
	toml := fakeTeam(t, "api")
	d := startDaemon(t, toml)
	if err := os.Remove(d.paths.Config); err != nil {
		t.Fatal(err)
	}
	_, err := call[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	wantCode(t, err, ipc.CodeUsage, "is missing")
	if st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}); !strings.Contains(st.ConfigError, "is missing") {
		t.Errorf("status says %q", st.ConfigError)
	}
	if r, err := ask(d, "api", "echo:x"); err != nil || r.Text != "x" {
		t.Errorf("got %+v, %v", r, err)
	}
	d.configure(toml)
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}); st.ConfigError != "" {
		t.Errorf("it still says %q", st.ConfigError)
	}
}
