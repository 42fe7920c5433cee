package delivery

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"iris/config"
	"iris/pool"
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
			d.loginHint(&config.Team{Name: "api", Settings: config.Settings{Command: []string{"/my bin/claude"}}}, nil),
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

// What a person can do depends on why there is no answer.
func TestReplyHintsAtWhatHelps(t *testing.T) {
	d := newDispatcher(t, "[teams.api]\ndir = \"/\"\n[teams.asks]\ndir = \"/\"\napprovals = \"ask\"\n[teams.easy]\ndir = \"/\"\ndenied_ok = true\n")
	resets := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		team string
		res  turn.Result
		want string
	}{
		{"api", turn.Result{Outcome: turn.Success, Resets: resets}, ""},
		{"api", turn.Result{Outcome: turn.RateLimited}, ""},
		{"api", turn.Result{Outcome: turn.RateLimited, Resets: resets}, "try again at 2026-01-0"},
		{"api", turn.Result{Outcome: turn.NotLoggedIn}, "auth login"},
		{"api", turn.Result{Outcome: turn.NotLoggedIn, Reason: turn.HelperFailed}, "apiKeyHelper"},
		{"api", turn.Result{Outcome: turn.Failed, Reason: turn.RefusedAgain}, "session rewind"},
		{"api", turn.Result{Outcome: turn.Denied}, "/.claude/settings.json, which counts only where you have trusted"},
		{"api", turn.Result{Outcome: turn.Denied, Reason: turn.ApprovalLost}, "send it again"},
		{"api", turn.Result{Outcome: turn.Denied, Reason: turn.Decided}, ""},
		{"asks", turn.Result{Outcome: turn.Denied}, ""},
		{"easy", turn.Result{Outcome: turn.Denied}, ""},
		{"gone", turn.Result{Outcome: turn.Denied}, ""},
	} {
		got := d.reply(pool.Key{Team: c.team}, "m", &c.res, nil)
		if (got.Hint == "") != (c.want == "") || !strings.Contains(got.Hint, c.want) {
			t.Errorf("%s: %s %s: got %q, want %q", c.team, c.res.Outcome, c.res.Reason, got.Hint, c.want)
		}
	}
}
