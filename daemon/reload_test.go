package daemon

import (
	"sync"
	"testing"

	"iris/ipc"
)

// whileWaiting waits for the end of a message in a client, and meanwhile makes a change that
// no call reports to the daemon. It returns the end.
func whileWaiting(d *testDaemon, id string, do func()) (end ipc.MessageState) {
	d.t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { end = awaitEnd(d, id) })
	eventually(d.t, "the waiting client", func() bool {
		return mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}).Clients > 1
	})
	do()
	wg.Wait()
	return end
}

// A message that waited while the configuration was edited begins under the new one.
func TestQueuedMessageRunsUnderTheConfigurationOfItsTurn(t *testing.T) {
	toml := fakeTeam(t, "api")
	d := startDaemon(t, toml)
	gated, open := gate(t)
	first := submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	second := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	eventually(t, "the turn", func() bool { return show(d, first.ID).State == "running" })
	whileWaiting(d, second.ID, func() {
		d.configure(toml + "env = { A = \"1\" }\n")
		open()
	})
	if one, two := show(d, first.ID).Process, show(d, second.ID).Process; one == two {
		t.Errorf("both ran in %s", one)
	}
}

// When a team is back in the configuration, its messages run.
func TestTeamThatComesBackIsNoticed(t *testing.T) {
	toml := fakeTeam(t, "api")
	d := startDaemon(t, toml)
	gated, open := gate(t)
	first := submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	second := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	eventually(t, "the turn", func() bool { return show(d, first.ID).State == "running" })
	d.configure("")
	open()
	eventually(t, "the hold", func() bool { return show(d, second.ID).Error != "" })
	if end := whileWaiting(d, second.ID, func() { d.configure(toml) }); end.State != "done" {
		t.Errorf("got %+v", end)
	}
}
