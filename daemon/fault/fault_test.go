package fault

import (
	"errors"
	"strings"
	"testing"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// The commands in hints can be pasted into a shell.
func TestHintsNameDirectoriesAsAShellTakesThem(t *testing.T) {
	lost := &pool.StartError{Err: &claude.ResumeError{}}
	for _, c := range []struct{ got, want string }{
		{
			startHint(pool.Key{Team: "/my api's", Session: "s"}, lost),
			`put it back, or begin a new one with "iris session reset '/my api'\''s@s'"; on_resume_failure = "fresh" does so by itself`,
		},
		{
			startHint(pool.Key{Team: "api", Session: "s"}, lost),
			`put it back, or begin a new one with "iris session reset api@s"; on_resume_failure = "fresh" does so by itself`,
		},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestTeamRemovedMeanwhileIsUnknown(t *testing.T) {
	if e := Of(pool.Key{Team: "api"}, "", &pool.StartError{Team: "api", Err: &config.UnknownTeamError{Name: "api"}}); e.Code != ipc.CodeNotFound {
		t.Errorf("got code %d, want %d", e.Code, ipc.CodeNotFound)
	}
}

// Whoever has removed the cause need not wait for the next try.
func TestHintOfARefusedStartSaysHowToTryAtOnce(t *testing.T) {
	e := &pool.StartError{Err: errors.New("exit status 3"), Retry: time.Minute}
	if got := startHint(pool.Key{Team: "api"}, e); !strings.Contains(got, `"iris daemon reload"`) {
		t.Errorf("got %q", got)
	}
}
