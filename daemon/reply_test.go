package daemon

import (
	"testing"

	"iris/ipc"
)

// The reason why a tool was denied is on record: it does not change with the configuration.
func TestNoSettingsAreHintedAtWhereSomebodyHasDenied(t *testing.T) {
	d := asking(t)
	st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
	mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: awaitApproval(d, st.ID).ID})
	awaitEnd(d, st.ID)
	d.configure(fakeTeam(t, "api"))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if r := replyTo(d, st.ID); r.Reason != "decided" || r.Hint != "" {
		t.Errorf("got %+v", r)
	}
}
