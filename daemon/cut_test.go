package daemon

import (
	"strings"
	"testing"

	"iris/ipc"
)

// If the disk is full, an agent's answer is lost. When there is space again, its message ends
// by itself, and the messages after it run.
func TestMessageWhoseAnswerWasLostIsUnknown(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	lost := submit(d, ipc.Send{Team: "api", Text: "lose"})
	behind := submit(d, ipc.Send{Team: "api", Text: "echo:behind"})
	if end := awaitEnd(d, behind.ID); end.State != "done" || answer(d, behind.ID) != "behind" {
		t.Errorf("the message behind: %+v", end)
	}
	m := show(d, lost.ID)
	if m.State != "unknown" || !strings.Contains(m.Error, "no room") {
		t.Errorf("got %s: %s", m.State, m.Error)
	}
	if next := show(d, behind.ID); m.CostUSD <= 0 || next.CostUSD > m.CostUSD {
		t.Errorf("costs %v, the message behind it %v", m.CostUSD, next.CostUSD)
	}
}
