package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// The tokens of two accounts.
const (
	limitedToken = "sk-ant-oat01-dummy"
	otherToken   = "sk-ant-oat01-other"
)

// Eight teams share a subscription whose limit is reached: their messages wait for the
// reset. Then the message that has hit the limit goes first, alone, and every message runs
// once, also if the daemon is killed in between. The messages of another account go on.
func TestRealLimitOfAnAccount(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			t.Parallel()
			l := newLimitedHouse(t, "a", "b", "c", "d", "e", "f", "g", "h")
			l.run("send", "a", "echo:warm")
			l.run("send", "other", "echo:warm")
			within := 10 * time.Second
			for ; !l.limit(killed, within); within *= 2 {
				t.Logf("the machine is too slow for a reset within %v", within)
			}
		})
	}
}

// A spare message waits while the subscription is used too much, as Claude Code has told it,
// also after the daemon was killed. Others go on. It runs when less is used.
func TestRealSpareMessage(t *testing.T) {
	t.Parallel()
	l := newLimitedHouse(t, "a", "b")
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	l.stub.Used(0.85, reset)
	l.run("send", "-n", "a", "echo:first")
	if a := l.account(); len(a.Used) != 1 || a.Used[0].Utilization != 0.85 || !a.Used[0].Resets.Equal(reset) {
		t.Fatalf("the account is %+v, want 85%% until %v", a, reset)
	}
	id := l.send("b", "echo:spare", "--spare")
	want := "spare capacity: account " + l.account().Name + " has used 85% of its five-hour limit, which resets at "
	for range 2 {
		l.run("send", "-n", "a", "echo:usual")
		if why := l.run("why", id); !strings.Contains(why, want) {
			t.Errorf("iris why prints %s, want %q", why, want)
		}
		syscall.Kill(l.house.daemon(), syscall.SIGKILL)
	}
	if slices.ContainsFunc(l.stub.Turns(), func(r claudetest.Request) bool { return r.User == "echo:spare" }) {
		t.Error("it has run")
	}
	l.stub.Used(0.76, reset) // the older version tells only of 75% and more
	l.run("send", "-n", "a", "echo:usual")
	if got := l.run("wait", id); strings.TrimSpace(got) != "spare" {
		t.Errorf("the spare message got %q", got)
	}
}

// limit has the account limited for a while. It reports false if that was too short to look
// at what waits.
func (l *limitedHouse) limit(killed bool, within time.Duration) bool {
	l.T.Helper()
	seen := len(l.stub.Turns())
	reset := time.Now().Add(within).Truncate(time.Second)
	over := func() bool { return !time.Now().Before(reset) }
	l.stub.LimitUntil(limitedToken, reset)
	ids := []string{l.send("a", firstText)}
	l.until("the limit", func() bool { return l.account().State == "limited" || over() })
	messages := []string{"a0"}
	for i := range 20 {
		m := fmt.Sprintf("%c%d", 'a'+i%8, i/8+1)
		messages, ids = append(messages, m), append(ids, l.send(m[:1], "echo:"+m))
	}
	accounts := []ipc.Account{l.account()}
	if killed {
		syscall.Kill(l.house.daemon(), syscall.SIGKILL)
		accounts = append(accounts, l.account())
	}
	other := l.run("send", "other", "echo:x")
	inTime := !over()
	l.run(append([]string{"wait"}, ids...)...)
	if !inTime {
		return false
	}
	for _, a := range accounts {
		if a.State != "limited" || a.Waiting != 21 || a.Resets == nil || !a.Resets.Equal(reset) || a.Why != "five-hour limit" || len(a.Teams) != 8 {
			l.T.Errorf("an account is %+v, want a reset at %v", a, reset)
		}
	}
	if other != "x\n" {
		l.T.Errorf("the message of another account got %q", other)
	}
	l.checkTurns(l.stub.Turns()[seen:], reset, messages)
	return true
}

// firstText is the message that hits the limit. After the reset its answer takes a second,
// in which no other may begin.
const (
	firstText = "after:1s:echo:a0"
	firstTime = time.Second
)

// limitedHouse is a house whose teams use one subscription of a stub, but for the team other.
type limitedHouse struct {
	*testing.T
	*house
	*real
}

func newLimitedHouse(t *testing.T, teams ...string) *limitedHouse {
	l := &limitedHouse{t, newHouse(t, "iris", ""), newReal(t)}
	text := l.subscriber("other", otherToken)
	for _, name := range teams {
		text += l.subscriber(name, limitedToken)
	}
	l.configure(text)
	return l
}

// subscriber is the table of a team with that token.
func (l *limitedHouse) subscriber(name, token string) (text string) {
	for line := range strings.Lines(l.team(l.house, name, l.mkdir(name))) {
		if !strings.HasPrefix(line, "env.ANTHROPIC_API_KEY") {
			text += line
		}
	}
	return text + fmt.Sprintf("env.CLAUDE_CODE_OAUTH_TOKEN = %q\n", token)
}

// send sends a message and returns its id.
func (l *limitedHouse) send(team, text string, flags ...string) string {
	l.T.Helper()
	return strings.TrimSpace(l.run(append([]string{"send", "-d", "-n", team, text}, flags...)...))
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

// checkTurns compares what the stub was asked with the messages of the limited account,
// oldest first: before the reset only the first, after it first that one, until it is
// answered, and each once, those of a team in their order.
func (l *limitedHouse) checkTurns(turns []claudetest.Request, reset time.Time, messages []string) {
	l.T.Helper()
	var after []string
	var answered time.Time
	for _, r := range turns {
		m := r.User[strings.LastIndexByte(r.User, ':')+1:]
		switch {
		case strings.HasSuffix(r.Key, otherToken):
			if m != "x" || !r.Time.Before(reset) {
				l.T.Errorf("of the other account the stub saw %s, %v after the reset", m, r.Time.Sub(reset))
			}
			continue
		case r.Time.Before(reset):
			if m != messages[0] {
				l.T.Errorf("%s began before the reset", m)
			}
			continue
		case len(after) == 0:
			answered = r.Time.Add(firstTime)
		case r.Time.Before(answered):
			l.T.Errorf("%s began before the first message was answered", m)
		}
		after = append(after, m)
	}
	l.T.Logf("after the reset the stub saw %v", after)
	if len(after) == 0 || after[0] != messages[0] {
		l.T.Errorf("the stub did not see %s first", messages[0])
	}
	byTeam := func(a, b string) int { return cmp.Compare(a[0], b[0]) }
	slices.SortStableFunc(after, byTeam)
	slices.SortStableFunc(messages, byTeam)
	if !slices.Equal(after, messages) {
		l.T.Errorf("by team the stub saw %v, want %v", after, messages)
	}
}
