package daemon

import (
	"testing"

	"iris/config"
	"iris/ipc"
)

// What a hint says between its quotes can be pasted into a shell.
func TestLoginHintNamesDirectoriesAsAShellTakesThem(t *testing.T) {
	dm, _ := startManaged(t, "", Service{})
	for _, c := range []struct{ got, want string }{
		{
			dm.loginHint(&config.Team{Name: "/$(x)"}, []string{"NO_SUCH_KEY"}),
			`your shell has NO_SUCH_KEY, the agents of team /$(x) have not: put it into an env_file of the team; "iris config show --env '/$(x)'" shows what they have`,
		},
		{
			dm.loginHint(&config.Team{Name: "api", Settings: config.Settings{Command: "/my bin/claude"}}, nil),
			`run "'/my bin/claude' auth login", or give the team an env_file with ANTHROPIC_API_KEY`,
		},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

// Why a tool was denied does not change with the configuration, and is on record.
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
