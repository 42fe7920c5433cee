package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
)

// Three teams share a subscription whose limit is reached: their messages wait for the
// reset. Then the message that has hit the limit goes first, and every message runs once,
// also if the daemon is killed in between.
func TestRealLimitOfAnAccount(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			t.Parallel()
			l := newLimitedHouse(t, "a", "b", "c")
			reset := time.Now().Add(12 * time.Second).Truncate(time.Second)
			l.stub.LimitUntil(reset)
			ids := []string{l.send("a", "echo:a1")}
			l.until("the limit", func() bool { return l.account().State == "limited" })
			for _, m := range []string{"a2", "b1", "b2", "c1"} {
				ids = append(ids, l.send(m[:1], "echo:"+m))
			}
			if a := l.account(); a.Waiting != 5 || a.Resets == nil || !a.Resets.Equal(reset) || a.Why != "five-hour limit" || len(a.Teams) != 3 {
				t.Errorf("the account is %+v, want a reset at %v", a, reset)
			}
			if killed {
				syscall.Kill(l.house.daemon(), syscall.SIGKILL)
				if a := l.account(); a.State != "limited" || a.Waiting != 5 {
					t.Errorf("for the next daemon the account is %+v", a)
				}
			}
			if left := time.Until(reset); left < 0 {
				t.Fatalf("the machine is too slow: the reset was %v ago", -left)
			}
			l.run(append([]string{"wait"}, ids...)...)
			l.checkTurns(reset, "a1", "a2", "b1", "b2", "c1")
		})
	}
}

// A spare message waits while the subscription is used too much, as Claude Code has told it,
// also after the daemon was killed. Others go on. When the limit is reset, it runs.
func TestRealSpareMessage(t *testing.T) {
	t.Parallel()
	l := newLimitedHouse(t, "a", "b")
	reset := time.Now().Add(25 * time.Second).Truncate(time.Second)
	l.stub.Used(0.85, reset)
	l.run("send", "-n", "a", "echo:first")
	if a := l.account(); len(a.Used) != 1 || a.Used[0].Utilization != 0.85 || !a.Used[0].Resets.Equal(reset) {
		t.Fatalf("the account is %+v, want 85%% until %v", a, reset)
	}
	id := strings.TrimSpace(l.run("send", "-d", "-n", "--spare", "b", "echo:spare"))
	want := "spare capacity: account " + l.account().Name + " has used 85% of its five-hour limit, and spare_below is 0.8"
	for range 2 {
		l.run("send", "-n", "a", "echo:usual")
		if why := l.run("why", id); !strings.Contains(why, want) {
			t.Errorf("iris why prints %s, want %q", why, want)
		}
		syscall.Kill(l.house.daemon(), syscall.SIGKILL)
	}
	if left := time.Until(reset); left < 0 {
		t.Fatalf("the machine is too slow: the reset was %v ago", -left)
	}
	l.stub.Used(0.01, reset.Add(5*time.Hour))
	if got := l.run("wait", id); strings.TrimSpace(got) != "spare" {
		t.Errorf("the spare message got %q", got)
	}
	for _, r := range l.stub.Turns() {
		if r.User == "echo:spare" && r.Time.Before(reset) {
			t.Errorf("it began %v before the reset", reset.Sub(r.Time))
		}
	}
}

// limitedHouse is a house whose teams use one subscription of a stub.
type limitedHouse struct {
	*testing.T
	*house
	*real
}

func newLimitedHouse(t *testing.T, teams ...string) *limitedHouse {
	l := &limitedHouse{t, newHouse(t, "iris", ""), newReal(t)}
	text := ""
	for _, name := range teams {
		for line := range strings.Lines(l.team(l.house, name, l.mkdir(name))) {
			if !strings.HasPrefix(line, "env.ANTHROPIC_API_KEY") {
				text += line
			}
		}
		text += "env.CLAUDE_CODE_OAUTH_TOKEN = \"sk-ant-oat01-dummy\"\n"
	}
	l.configure(text)
	return l
}

// send sends a message and returns its id.
func (l *limitedHouse) send(team, text string) string {
	l.T.Helper()
	return strings.TrimSpace(l.run("send", "-d", "-n", team, text))
}

// account is the account of the teams.
func (l *limitedHouse) account() ipc.Account {
	l.T.Helper()
	var all []ipc.Account
	if err := json.Unmarshal([]byte(l.run("account", "--json")), &all); err != nil {
		l.T.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(a ipc.Account) bool { return !slices.Contains(a.Teams, "a") })
	if len(all) != 1 || !strings.HasPrefix(all[0].Name, "oauth-token-") {
		l.T.Fatalf("accounts %+v", all)
	}
	return all[0]
}

func (l *limitedHouse) until(what string, f func() bool) {
	l.T.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.T.Fatalf("no %s within a minute", what)
		}
	}
}

// checkTurns compares what the stub was asked with the messages, oldest first: before the
// reset only the first, after it first that one, and each once.
func (l *limitedHouse) checkTurns(reset time.Time, messages ...string) {
	l.T.Helper()
	var after []string
	for _, r := range l.stub.Turns() {
		m := strings.TrimPrefix(r.User, "echo:")
		switch {
		case !r.Time.Before(reset):
			after = append(after, m)
		case m != messages[0]:
			l.T.Errorf("%s began before the reset", m)
		}
	}
	if len(after) == 0 || after[0] != messages[0] {
		l.T.Errorf("after the reset the stub saw %v, want %s first", after, messages[0])
	}
	slices.Sort(after)
	if !slices.Equal(after, messages) {
		l.T.Errorf("after the reset the stub saw %v, want each of %v once", after, messages)
	}
}
