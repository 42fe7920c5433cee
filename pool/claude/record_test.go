package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/pool"
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
	want    pool.Outcome
	status  int
	err     string // contained in Result.Err
	retires bool
}{
	{name: "success", text: "echo:hi", want: pool.OutcomeSuccess},
	{name: "tool", text: `tool:Bash:{"command":"echo ran","description":"d"}`, want: pool.OutcomeSuccess},
	{name: "denied", text: `tool:Write:{"file_path":"/etc/iris-denied","content":"x"}`, want: pool.OutcomeDenied, err: "denied: Write"},
	{name: "clear", text: "/clear", want: pool.OutcomeSuccess},
	{name: "unknown-command", text: "/nonsense", want: pool.OutcomeSuccess},
	{name: "interrupted-stream", text: "slow:100:50ms", word: `"init"`, want: pool.OutcomeInterrupted, err: "interrupted"},
	{name: "interrupted-tool", text: `tool:Bash:{"command":"sleep 1.5","description":"d"}`, word: `"tool_use"`, want: pool.OutcomeInterrupted, err: "interrupted"},
	{name: "max-turns", text: `tool:Bash:{"command":"echo ran","description":"d"}`, args: "--max-turns=1", want: pool.OutcomeLimit, err: "turn limit"},
	{name: "budget", text: "echo:hi", args: "--max-budget-usd=0.0001", want: pool.OutcomeLimit, err: "budget spent", retires: true},
	{name: "not-logged-in", text: "echo:hi", env: "ANTHROPIC_API_KEY", want: pool.OutcomeNotLoggedIn, err: "Please run /login"},
	{name: "status-400", text: "status:400", want: pool.OutcomeAPIError, status: 400, err: "API Error"},
	{name: "status-401", text: "status:401", want: pool.OutcomeNotLoggedIn, status: 401, err: "authenticate"},
	{name: "status-403", text: "status:403", want: pool.OutcomeNotLoggedIn, status: 403, err: "authenticate"},
	{name: "status-404", text: "status:404", want: pool.OutcomeAPIError, status: 404, err: "selected model"},
	{name: "status-413", text: "status:413", want: pool.OutcomeAPIError, status: 413, err: "too large"},
	{name: "status-429", text: "status:429", want: pool.OutcomeRateLimited, status: 429, err: "429"},
	{name: "status-500", text: "status:500", want: pool.OutcomeAPIError, status: 500, err: "API Error"},
	{name: "status-529", text: "status:529", want: pool.OutcomeAPIError, status: 529, err: "529"},
	{name: "limit", text: "limit:7200", env: "ANTHROPIC_API_KEY", login: true, want: pool.OutcomeRateLimited, status: 429, err: "hit your session limit"},
	{name: "short", text: "short", want: pool.OutcomeIncomplete, err: "Connection closed mid-response"},
	{name: "open", text: "open", want: pool.OutcomeIncomplete, err: "cut off before its end"},
	{name: "background", text: `tool:Bash:{"command":"sleep 5","description":"tests","run_in_background":true}`, want: pool.OutcomeSuccess},
	{name: "cut", text: "cut", want: pool.OutcomeIncomplete, err: "Connection to the API was lost"},
}

// TestRealRecord records the testdata with -update, and otherwise sees that the
// real program still says the same.
func TestRealRecord(t *testing.T) {
	for _, c := range recordings {
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
			res, err := r.start().Send(ctx, &pool.Turn{Text: c.text, Output: func(line []byte) {
				lines.Write(append(line, '\n'))
				if c.word != "" && strings.Contains(string(line), c.word) {
					cancel()
				}
			}})
			if err != nil || res.Outcome != c.want || res.Status != c.status || !strings.Contains(res.Err, c.err) || (res.Retire != "") != c.retires {
				t.Errorf("got %+v, %v", res, err)
			}
			if *update {
				path := filepath.Join("testdata", c.name+".jsonl")
				if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, lines.Bytes(), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedOutcomes(t *testing.T) {
	for _, c := range recordings {
		got := replay(recorded(t, c.name))
		if got == nil || got.Outcome != c.want || got.Status != c.status || !strings.Contains(got.Err, c.err) || (got.Retire != "") != c.retires {
			t.Errorf("%s: got %+v, want %s", c.name, got, c.want)
		}
		if got != nil && (got.SessionID == "" || strings.ContainsAny(got.Err, "\n\r")) {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

// replay settles a turn from its lines.
func replay(lines []byte) *pool.Result {
	s := settler{}
	s.after(bytes.NewReader(lines))
	return s.result
}

// The scanner must see in every recorded line what encoding/json sees.
func TestRecordedLinesRouteAsEncodingJSONDoes(t *testing.T) {
	for _, c := range recordings {
		for line := range bytes.Lines(recorded(t, c.name)) {
			var want struct{ Type, Subtype string }
			if err := json.Unmarshal(line, &want); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			typ, sub, ok := route(bytes.TrimSuffix(line, []byte("\n")))
			if !ok || typ != want.Type || sub != "" && sub != want.Subtype || typ == "system" && sub == "" {
				t.Errorf("%s: got %q %q %v, want %+v: %.100s", c.name, typ, sub, ok, want, line)
			}
		}
	}
}
