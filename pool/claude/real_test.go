package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/pool"
	"iris/pool/claude/claudetest"
	"iris/pool/turn"
)

func TestRealWarmTurns(t *testing.T) {
	r := realRig(t)
	p := r.start()
	ask(t, p, "echo:hi", "hi")
	ask(t, p, "count", "2")
	ask(t, p, "echo: two\nlines \x00\x1b[0m \u2028 <&>", " two\nlines \x00\x1b[0m \u2028 <&>")
	res := send(t, p, "slow:3:5ms")
	if res.Text != claudetest.SlowText(3) || res.SessionID != r.o.SessionID || res.Turns != 1 || res.Stop != "end_turn" || res.Terminal != "completed" {
		t.Errorf("got %+v", res)
	}
	if got := len(r.stub.Turns()); got != 4 {
		t.Errorf("got %d calls of the model, want 4", got)
	}
}

func TestRealCostsAreOfOneTurn(t *testing.T) {
	r := realRig(t)
	p := r.start()
	a, b := send(t, p, "echo:hi"), send(t, p, "echo:hi")
	if a.CostUSD <= 0 || b.CostUSD <= 0 || b.CostUSD > 1.5*a.CostUSD {
		t.Errorf("costs: %v, then %v", a.CostUSD, b.CostUSD)
	}
	if b.Usage.Input < a.Usage.Input || b.Usage.Input > 2*a.Usage.Input || b.API <= 0 || b.API > b.Duration {
		t.Errorf("first %+v, second %+v", a, b)
	}
	p.Stop()
	p.ResultRecorded()
	if c := send(t, r.again(), "echo:hi"); c.CostUSD <= 0 || c.CostUSD > 1.5*a.CostUSD {
		t.Errorf("after resume: %v", c.CostUSD)
	}
}

func TestRealTurnIsTheseLines(t *testing.T) {
	p := realRig(t).start()
	var types []string
	res, err := sendSeen(context.Background(), p, &Message{Text: "echo:hi"}, func(line []byte) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %.100s", line)
		}
		typ, sub, _ := route(line)
		if typ == "command_lifecycle" || strings.Contains(string(line), `"isReplay":true`) {
			return // what becomes of the message: streams leave it out
		}
		types = append(types, strings.TrimSuffix(typ+" "+sub, " "))
	})
	if err != nil || res.Text != "hi" {
		t.Fatal(res, err)
	}
	want := "system session_state_changed, system init, system status, stream_event, stream_event, stream_event, assistant, " +
		"stream_event, stream_event, stream_event, result success"
	got := strings.TrimSuffix(strings.Join(types, ", "), ", system session_state_changed") // idle again: it may come in time
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRealResumeAfterStop(t *testing.T) {
	r := realRig(t)
	p := r.start()
	ask(t, p, "echo:one", "one")
	p.Stop()
	if p.Exit() != "exit status 0" {
		t.Errorf("exit: %s", p.Exit())
	}
	ask(t, r.again(), "dump", `["echo:one","dump"]`)
}

func TestRealClearChangesTheSession(t *testing.T) {
	r := realRig(t)
	p := r.start()
	ask(t, p, "echo:one", "one")
	res := send(t, p, "/clear")
	if res.SessionID == r.o.SessionID || p.Session() != res.SessionID || res.Turns != 0 {
		t.Fatalf("got %+v", res)
	}
	if got := r.sessions(); len(got) != 1 || got[0] != res.SessionID {
		t.Errorf("OnSession: %v", got)
	}
	if path := spoolOf(p); !strings.Contains(path, res.SessionID) {
		t.Errorf("spool is still called %s", path)
	}
	if got := send(t, p, "dump").Text; strings.Contains(got, "echo:one") {
		t.Errorf("the conversation goes on: %s", got)
	}
	other := r.o
	other.ID, other.SessionID = "p2", res.SessionID
	if _, err := Start(context.Background(), other); !errors.Is(err, pool.ErrBusy) {
		t.Errorf("second process of the new session: %v", err)
	}
}

func TestRealSessionInUse(t *testing.T) {
	r := realRig(t)
	p := r.start()
	r.o.ID = "p2"
	_, err := Start(context.Background(), r.o)
	if !errors.Is(err, pool.ErrBusy) || !strings.Contains(err.Error(), "in use by process "+p.o.ID) {
		t.Errorf("got %v", err)
	}
}

func TestRealBackgroundBash(t *testing.T) {
	r := realRig(t)
	p := r.start()
	res := send(t, p, `tool:Bash:{"command":"sleep 0.4; echo bg-done","description":"d","run_in_background":true}`)
	if res.Outcome != turn.Success {
		t.Fatalf("got %+v", res)
	}
	// Its end begins a turn of the agent's own, which must not be taken for
	// the answer to any of these.
	for i := range 60 {
		ask(t, p, fmt.Sprintf("echo:%d", i), fmt.Sprint(i))
	}
}

func TestRealAPIErrors(t *testing.T) {
	r := realRig(t)
	p := r.start()
	for _, c := range []struct {
		code int
		want turn.Outcome
	}{
		{400, turn.APIError}, {401, turn.NotLoggedIn}, {403, turn.NotLoggedIn}, {404, turn.APIError},
		{413, turn.APIError}, {429, turn.RateLimited}, {500, turn.APIError}, {529, turn.APIError},
	} {
		res := send(t, p, fmt.Sprintf("status:%d", c.code))
		if res.Outcome != c.want || res.Status != c.code || res.Err == "" || strings.Contains(res.Err, "\n") {
			t.Errorf("%d: got %+v, want %s", c.code, res, c.want)
		}
	}
	ask(t, p, "echo:still there", "still there")
}

func TestRealNotLoggedIn(t *testing.T) {
	r := realRig(t)
	r.o.Env = deleteVar(r.o.Env, "ANTHROPIC_API_KEY")
	if res := send(t, r.start(), "echo:hi"); res.Outcome != turn.NotLoggedIn || !strings.Contains(res.Err, "/login") {
		t.Errorf("got %+v", res)
	}
}

// Claude Code says on stderr why the command that was to print the key has failed.
func TestRealHelperThatFailsIsNamed(t *testing.T) {
	for helper, want := range map[string]string{
		"echo oops >&2; exit 3": "apiKeyHelper failed: exited 3: oops",
		"true":                  "apiKeyHelper failed: did not return a value",
	} {
		r := realRig(t)
		r.o.Env = deleteVar(r.o.Env, "ANTHROPIC_API_KEY")
		settings := filepath.Join(ConfigDir(r.o.Env), "settings.json")
		if err := os.MkdirAll(filepath.Dir(settings), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(settings, fmt.Appendf(nil, `{"apiKeyHelper":%q}`, helper), 0o600); err != nil {
			t.Fatal(err)
		}
		res := send(t, r.start(), "status:401")
		if res.Outcome != turn.NotLoggedIn || res.Err != want || res.Reason != turn.HelperFailed || res.Retire == "" {
			t.Errorf("%s: got %+v", helper, res)
		}
	}
}

func TestRealDeniedTool(t *testing.T) {
	for _, args := range [][]string{nil, {"--permission-prompt-tool=stdio"}} {
		r := realRig(t)
		r.o.Args = args
		res := send(t, r.start(), `tool:Bash:{"command":"touch /etc/iris-test-denied","description":"d"}`)
		if res.Outcome != turn.Denied || len(res.Denials) != 1 || res.Denials[0].Tool != "Bash" || res.Err != "denied: Bash" {
			t.Errorf("%v: got %+v", args, res)
		}
		if res.Text == "" || !strings.Contains(string(res.Denials[0].Input), "iris-test-denied") {
			t.Errorf("%v: answer %q, input %s", args, res.Text, res.Denials[0].Input)
		}
	}
}

// The limit is that of each message, not of the process.
func TestRealLimitOfTurnsIsPerMessage(t *testing.T) {
	r := realRig(t)
	r.o.Args = []string{"--max-turns=2"}
	p := r.start()
	const call = `tool:Bash:{"command":"echo hi","description":"d"}`
	for i := range 4 { // two calls of the model each
		if res := send(t, p, call); res.Outcome != turn.Success || res.Turns != 2 {
			t.Errorf("message %d: got %+v", i, res)
		}
	}
	r.o.ID, r.o.SessionID, r.o.Args = "p2", NewSessionID(), []string{"--max-turns=1"}
	p = r.start()
	for range 2 {
		if res := send(t, p, call); res.Outcome != turn.Limit {
			t.Errorf("got %+v", res)
		}
		ask(t, p, "echo:x", "x") // one call
	}
}

func TestRealLimits(t *testing.T) {
	r := realRig(t)
	r.o.Args = []string{"--max-turns=1"}
	res := send(t, r.start(), `tool:Bash:{"command":"echo hi","description":"d"}`)
	if res.Outcome != turn.Limit || res.Retire != "" || res.Err != "turn limit reached" {
		t.Errorf("turns: got %+v", res)
	}
	r.o.ID, r.o.SessionID, r.o.Args = "p2", NewSessionID(), []string{"--max-budget-usd=0.0001"}
	p := r.start()
	send(t, p, "echo:hi")
	res = send(t, p, "echo:hi")
	if res.Outcome != turn.Limit || res.Retire != "budget spent" {
		t.Errorf("budget: got %+v", res)
	}
}

func TestRealLargeReplyIsByteIdentical(t *testing.T) {
	p := realRig(t).start()
	const n = 8 << 20
	if res := send(t, p, fmt.Sprintf("size:%d", n)); res.Text != claudetest.Text(n) {
		t.Errorf("got %d bytes, want %d", len(res.Text), n)
	}
	ask(t, p, "echo:after", "after")
	path := spoolOf(p)
	eventually(t, "the spool has been given back", func() bool {
		p.ResultRecorded()
		info, err := os.Stat(path)
		return err == nil && info.Size() > 2*n && allocated(info) < 2<<20
	})
}

func TestRealLargeMessage(t *testing.T) {
	p := realRig(t).start()
	text := claudetest.Text(2 << 20) // 2.1.332 refuses to ask the model for more than about a million tokens
	if res := send(t, p, "echo:"+text); res.Text != text {
		t.Errorf("got %s, %d bytes, want %d: %s", res.Outcome, len(res.Text), len(text), res.Err)
	}
}

func TestRealDirectories(t *testing.T) {
	base := realDir(t)
	plain := filepath.Join(base, "plain")
	link := filepath.Join(base, "link")
	for _, dir := range []string{"a.b_c", "with space", "ünï 世界", "-dash", "link", "x'y\"z$"} {
		t.Run(dir, func(t *testing.T) {
			r := realRig(t)
			r.o.Dir = filepath.Join(base, dir)
			if r.o.Dir == link {
				os.MkdirAll(plain, 0o755)
				os.Symlink(plain, link)
			} else if err := os.MkdirAll(r.o.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			p := r.start()
			ask(t, p, "echo:one", "one")
			p.Stop()
			if path, _ := Transcript(r.o.Env, r.o.SessionID); path == "" {
				t.Fatal("no transcript found")
			}
			q := r.again()
			ask(t, q, "dump", `["echo:one","dump"]`)
			ask(t, q, `tool:Bash:{"command":"pwd -P","description":"d"}`, "tool said: "+mustEval(t, r.o.Dir))
		})
	}
}

func mustEval(t *testing.T, dir string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

func TestRealConfigDir(t *testing.T) {
	r := realRig(t)
	r.o.Env = append(r.o.Env, "CLAUDE_CONFIG_DIR="+t.TempDir())
	p := r.start()
	ask(t, p, "echo:one", "one")
	p.Stop()
	ask(t, r.again(), "count", "2")
}

func TestRealPingDoesNotDisturb(t *testing.T) {
	p := realRig(t).start()
	u := begin(t, context.Background(), p, "slow:20:20ms", `"init"`)
	for range 5 {
		h, err := p.Check(context.Background(), true)
		if err != nil || h.Memory < 50<<20 {
			t.Errorf("got %+v, %v", h, err)
		}
	}
	if res, err := u.wait(t); err != nil || res.Text != claudetest.SlowText(20) {
		t.Errorf("got %+v, %v", res, err)
	}
}

func deleteVar(env []string, name string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return out
}
