package claude

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"iris/pool/claude/claudetest"
	"iris/pool/turn"
)

var update = flag.Bool("update", false, "record testdata anew with the real program")

// recordings are turns of the real program, one file each in testdata, and
// what they are taken for.
var recordings = []struct {
	name    string
	text    string
	args    string
	env     string // left out of the environment
	login   bool   // with the token of a subscription
	word    string // interrupted when this has come
	want    turn.Outcome
	status  int
	err     string // contained in Result.Err
	retires bool
	old     turn.Outcome // on the oldest version, where that is another
}{
	{name: "success", text: "echo:hi", want: turn.Success},
	{name: "tool", text: `tool:Bash:{"command":"echo ran","description":"d"}`, want: turn.Success},
	{name: "denied", text: `tool:Write:{"file_path":"/etc/iris-denied","content":"x"}`, want: turn.Denied, err: "denied: Write"},
	{name: "clear", text: "/clear", want: turn.Success},
	{name: "unknown-command", text: "/nonsense", want: turn.Success, old: turn.Incomplete},
	{name: "refused-command", text: "/login", want: turn.Incomplete, err: "isn't available"},
	{name: "empty-compact", text: "/compact", want: turn.Incomplete, err: "o messages to compact"},
	{name: "local-command", text: "/context", want: turn.Success},
	{name: "interrupted-stream", text: "slow:100:50ms", word: `"init"`, want: turn.Interrupted, err: "interrupted"},
	{name: "interrupted-tool", text: `tool:Bash:{"command":"sleep 1.5","description":"d"}`, word: `"tool_use"`, want: turn.Interrupted, err: "interrupted"},
	{name: "max-turns", text: `tool:Bash:{"command":"echo ran","description":"d"}`, args: "--max-turns=1", want: turn.Limit, err: "turn limit"},
	{name: "budget", text: "echo:hi", args: "--max-budget-usd=0.0001", want: turn.Limit, err: "budget spent", retires: true},
	{name: "not-logged-in", text: "echo:hi", env: "ANTHROPIC_API_KEY", want: turn.NotLoggedIn, retires: true, err: "Please run /login"},
	{name: "status-400", text: "status:400", want: turn.APIError, status: 400, err: "API Error"},
	{name: "status-401", text: "status:401", want: turn.NotLoggedIn, retires: true, status: 401, err: "authenticate"},
	{name: "status-403", text: "status:403", want: turn.NotLoggedIn, retires: true, status: 403, err: "authenticate"},
	{name: "status-404", text: "status:404", want: turn.APIError, status: 404, err: "selected model"},
	{name: "status-413", text: "status:413", want: turn.APIError, status: 413, err: "too large"},
	{name: "status-429", text: "status:429", want: turn.RateLimited, status: 429, err: "429"},
	{name: "status-500", text: "status:500", want: turn.APIError, status: 500, err: "API Error"},
	{name: "status-529", text: "status:529", want: turn.APIError, status: 529, err: "529"},
	{name: "limit", text: "limit:7200", env: "ANTHROPIC_API_KEY", login: true, want: turn.RateLimited, status: 429, err: "hit your "},
	{name: "short", text: "short", want: turn.Incomplete, err: "mid-response"},
	{name: "open", text: "open", want: turn.Incomplete},
	{name: "background", text: `tool:Bash:{"command":"sleep 5","description":"tests","run_in_background":true}`, want: turn.Success},
	{name: "cut", text: "cut", want: turn.Incomplete, err: "onnection"},
}

// versions are those of the real program that iris is tried with, the oldest first.
var versions = []string{"2.1.197", "2.1.332"}

// version asks the real program which it is.
func version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(claudetest.Real(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	v, _, _ := strings.Cut(string(out), " ")
	return v
}

// TestRealRecord records the testdata of a version with -update, and otherwise sees
// that the real program still says the same.
func TestRealRecord(t *testing.T) {
	v := version(t)
	for _, c := range recordings {
		if v == versions[0] && c.old != "" {
			c.want = c.old
		}
		t.Run(c.name, func(t *testing.T) {
			r := realRig(t)
			r.o.Env = deleteVar(r.o.Env, c.env)
			if c.login {
				r.o.Env = append(r.o.Env, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-dummy")
			}
			if c.args != "" {
				r.o.Args = append(r.o.Args, c.args)
			}
			var lines bytes.Buffer
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			res, err := sendSeen(ctx, r.start(), &Message{Text: c.text, NoBackgroundWait: true}, func(line []byte) {
				lines.Write(append(line, '\n'))
				if c.word != "" && strings.Contains(string(line), c.word) {
					cancel()
				}
			})
			if err != nil || res.Outcome != c.want || res.Status != c.status || !strings.Contains(res.Err, c.err) || (res.Retire != "") != c.retires {
				t.Errorf("got %+v, %v", res, err)
			}
			if *update {
				path := filepath.Join("testdata", v, c.name+".jsonl")
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, lines.Bytes(), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func recorded(t testing.TB, version, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", version, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedOutcomes(t *testing.T) {
	for _, v := range versions {
		for _, c := range recordings {
			if v == versions[0] && c.old != "" {
				c.want = c.old
			}
			got := replay(recorded(t, v, c.name))
			if got == nil || got.Outcome != c.want || got.Status != c.status || !strings.Contains(got.Err, c.err) || (got.Retire != "") != c.retires {
				t.Errorf("%s %s: got %+v, want %s", v, c.name, got, c.want)
			}
			if got != nil && (got.SessionID == "" || strings.ContainsAny(got.Err, "\n\r")) {
				t.Errorf("%s %s: got %+v", v, c.name, got)
			}
		}
	}
}

// replay settles a turn from its lines.
func replay(lines []byte) *turn.Result {
	s := spoolScanner{}
	s.notes.expect(messageIn(lines), true)
	s.after(bytes.NewReader(lines))
	return s.evidence(false).Result
}

// messageIn is the uuid of the message in a recording.
func messageIn(lines []byte) string {
	for _, pattern := range []string{`"command_uuid":"([^"]*)"`, `"uuid":"([^"]*)","timestamp":"[^"]*","isReplay":true`} {
		if m := regexp.MustCompile(pattern).FindSubmatch(lines); m != nil {
			return string(m[1])
		}
	}
	return "not in there"
}

// The scanner must see in every recorded line what encoding/json sees.
