package delivery

import (
	"reflect"
	"testing"

	"iris/config"
	"iris/pool/turn"
)

// A command that a hint quotes can be pasted into a shell.
func TestLoginHintNamesDirectoriesAsAShellTakesThem(t *testing.T) {
	d := newDispatcher(t, "")
	for _, c := range []struct{ got, want string }{
		{
			d.loginHint(&config.Team{Name: "/$(x)"}, []string{"NO_SUCH_KEY"}),
			`your shell has NO_SUCH_KEY, the agents of team /$(x) have not: put it into an env_file of the team; "iris config show --env '/$(x)'" shows what they have`,
		},
		{
			d.loginHint(&config.Team{Name: "api", Settings: config.Settings{Command: "/my bin/claude"}}, nil),
			`run "'/my bin/claude' auth login", or give the team an env_file with ANTHROPIC_API_KEY`,
		},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestEarlierAnswersAreInTheReply(t *testing.T) {
	d := newDispatcher(t, "")
	res := &turn.Result{Outcome: turn.Success, Text: "found", Earlier: []string{"launched", "still at it"}}
	if got := d.reply(api, "m", res, nil); !reflect.DeepEqual(got.Earlier, res.Earlier) || got.Text != "found" {
		t.Errorf("got %+v", got)
	}
}
