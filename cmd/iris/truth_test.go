//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
)

// A truth is one way for a turn to end, and how "iris send" says so. What the
// real Claude Code does in each case stands beside it: 2.1.197, and 2.1.332 where
// that does something else.
type truth struct {
	name  string
	team  string // lines of the team's table
	flags []string
	real  string // message to the real program; empty where only the fake does so
	fake  string // the same of the fake; empty where that cannot
	drop  string // variable that the agent does not get
	first bool   // after another message of the same conversation
	// While the turn runs; nil for nothing.
	during func(*witness)

	status  int
	stdout  string // the whole of it, a pattern
	stderr  string // the one line on stderr, a pattern after "iris: "
	outcome string // in JSON
	fields  string // a part of the JSON, a pattern
}

const (
	denied     = `tool:Bash:{"command":"touch /etc/iris-truth","description":"d"}`
	background = `tool:Bash:{"command":"sleep 300","description":"the tests","run_in_background":true}`
)

var truths = []truth{
	{
		name: "answered", real: "echo:well", fake: "echo:well",
		stdout: `well\n`, outcome: "success", fields: `"model":"[^"]+"`,
	},
	{ // is_error false, and the denial in permission_denials
		name: "a tool was denied", real: denied, fake: "fail:denied",
		status: 9, stdout: `tool said: .+\n`, stderr: `denied: Bash`, outcome: "denied", fields: `"denials":\[{"tool":"Bash","input":{"command":`,
	},
	{ // api_retry lines, then subtype success with is_error and api_error_status
		name: "API error after retries", real: "status:500", fake: "fail:500",
		status: 13, stderr: `API Error: 500 .*`, outcome: "api-error", fields: `"api_status":500`,
	},
	{ // retry-after is obeyed if it is short, and told nobody
		name: "rate limited by key", real: "status:429:0:1", fake: "fail:429", team: "on_limit = \"fail\"\naccount = \"truth\"",
		status: 10, stderr: `API Error: Request rejected \(429\).*`, outcome: "rate-limited", fields: `"api_status":429`,
	},
	{ // rate_limit_event with resetsAt, told once for each limit
		name: "rate limited subscription", real: "limit:7200", fake: "fail:limit",
		team: "on_limit = \"fail\"\naccount = \"truth\"\n" + `env.CLAUDE_CODE_OAUTH_TOKEN = "sk-ant-oat01-dummy"`, drop: "ANTHROPIC_API_KEY",
		status: 10, stderr: `You've hit your (session|5-hour) limit · resets .*`, outcome: "rate-limited",
		fields: `"hint":"try again at 20\d\d-\d\d-\d\d \d\d:\d\d \w+; .*"resets":"20\d\d-`,
	},
	{ // the event does not come again
		name: "the same limit again", real: "limit:7200", fake: "fail:limit", first: true,
		team: "on_limit = \"fail\"\naccount = \"truth\"\n" + `env.CLAUDE_CODE_OAUTH_TOKEN = "sk-ant-oat01-dummy"`, drop: "ANTHROPIC_API_KEY",
		status: 10, stderr: `You've hit your (session|5-hour) limit · resets .*`, outcome: "rate-limited", fields: `"resets":"20\d\d-`,
	},
	{ // subtype success, is_error, no api_error_status
		name: "not logged in", real: "echo:x", fake: "fail:login", drop: "ANTHROPIC_API_KEY",
		status: 8, stderr: `Not logged in · Please run /login`, outcome: "not-logged-in", fields: `"hint":"[^"]+"`,
	},
	{ // subtype error_max_turns, no result
		name: "turn limit", real: `tool:Bash:{"command":"true","description":"d"}`, fake: "fail:turns", team: `args = ["--max-turns=1"]`,
		status: 11, stderr: `turn limit reached`, outcome: "limit", fields: `"subtype":"error_max_turns"`,
	},
	{ // subtype error_max_budget_usd; the process answers nothing more
		name: "budget limit", real: "echo:x", fake: "fail:budget", first: true, team: `args = ["--max-budget-usd=0.0001"]`,
		status: 11, stdout: `(x\n)?`, stderr: `budget spent`, outcome: "limit", fields: `"subtype":"error_max_budget_usd"`,
	},
	{ // is_error, the text is the error, and what was said is in a line before. 2.1.332
		// has the model go on three times first, and each piece is part of the answer
		name: "partial text", real: "short", fake: "fail:partial",
		status: 12, stdout: `(partial ){1,4}\n`, stderr: `API Error: Connection (closed|lost) mid-response\..*`, outcome: "incomplete", fields: `"text":"partial `,
	},
	{ // success, is_error false; only stop_reason is null, and num_turns is not 0.
		// 2.1.332 takes it for a lost connection
		name: "stream ends without a reason", real: "open", fake: "fail:open",
		status: 12, stdout: `(partial ){1,4}\n`, stderr: `the answer was cut off before its end|API Error: Connection lost mid-response\..*`,
		outcome: "incomplete", fields: `"subtype":"success"`,
	},
	{ // iris interrupts it. If it is let: after 300 s it asks once more, without
		// streaming; when a block was whole by then it does not, and says
		// "API Error: The operation timed out."
		name: "stalled", real: "stall", fake: "hang:partial", team: "stall_timeout = \"4s\"\non_stall = \"interrupt\"",
		status: 12, stdout: `partial \n`, stderr: `stalled and interrupted`, outcome: "incomplete",
	},
	{ // success; task_started has told of the task, which goes with the process
		name: "background work killed", real: background, fake: "background:the tests", flags: []string{"--fresh"},
		status: 12, stdout: `.+\n`, stderr: `background work was ended with the agent: the tests`, outcome: "incomplete", fields: `"background":\["the tests"\]`,
	},
	{ // the agent finishes its turn, which settles the message. 2.1.197 then gives the
		// task five seconds and ends it; 2.1.332 waits for it, and orphan_grace ends both
		name: "background work outlives the daemon", real: "after:@GATE:" + background, during: (*witness).killDaemonAndOpen,
		stdout: `.+\n`, outcome: "success", fields: `"background":\["the tests"\]`,
	},
	{
		name: "background work goes on", real: background, fake: "background:the tests",
		stdout: `.+\n`, outcome: "success", fields: `"background":\["the tests"\]`,
	},
	{ // error_during_execution, aborted_streaming
		name: "interrupted", real: "hang", fake: "hang", during: (*witness).cancel,
		status: 5, stderr: `team it(@json)?: .*cancelled`, outcome: "none", fields: `"reason":"cancelled"`,
	},
	{
		name: "agent died", real: "hang", fake: "hang", during: (*witness).killAgent,
		status: 7, stderr: `team it(@json)?: .*signal: killed.*`, outcome: "none", fields: `"reason":"unknown"`,
	},
	{
		name: "unknown", real: "hang", fake: "hang", during: (*witness).killAll,
		status: 7, stderr: `team it(@json)?: .*its agent ended without a result while no daemon was there`, outcome: "none", fields: `"reason":"unknown"`,
	},
}

func TestTruthInTheExitStatus(t *testing.T) {
	t.Parallel()
	for _, c := range truths {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.fake != "" {
				t.Run("fake", func(t *testing.T) {
					t.Parallel()
					fake, err := exec.LookPath("fakeclaude")
					if err != nil {
						t.Fatal(err)
					}
					h := newHouse(t, "iris", "")
					h.configure(fmt.Sprintf("[teams.it]\ndir = %q\ncommand = %q\n%s\n", h.mkdir("project"), fake, c.team))
					c.check(t, h, c.fake)
				})
			}
			t.Run("real", func(t *testing.T) {
				t.Parallel()
				r := newReal(t)
				h := newHouse(t, "iris", "")
				team := r.team(h, "it", h.mkdir("project")) + "env.CLAUDE_CODE_MAX_RETRIES = \"1\"\n"
				if c.drop != "" {
					team = regexp.MustCompile("(?m)^env."+c.drop+".*\n").ReplaceAllString(team, "")
				}
				h.configure("orphan_grace = \"100ms\"\n" + team + c.team + "\n")
				c.check(t, h, c.real)
			})
		})
	}
}

// check sends the message twice: once for people and once for programs.
func (c *truth) check(t *testing.T, h *house, message string) {
	w := &witness{T: t, house: h, gate: filepath.Join(h.mkdir("gate"), "g")}
	message = strings.Replace(message, "GATE", w.gate, 1)
	for _, target := range []string{"it", "it@json"} {
		if c.first {
			h.command("send", target, message).Run()
			w.open()
		}
	}
	code, stdout, stderr := w.send(c, "it", message)
	said := regexp.MustCompile("(?m)^iris: (hint: )?").FindAllStringSubmatch(stderr, -1)
	hints := len(slices.DeleteFunc(slices.Clone(said), func(m []string) bool { return m[1] == "" }))
	lines := strings.Count(stderr, "\n")
	if code != c.status || lines != len(said) || hints > 1 || lines-hints != min(1, len(c.stderr)) {
		t.Errorf("status %d, want %d; stderr:\n%s", code, c.status, stderr)
	}
	if first, _, _ := strings.Cut(stderr, "\n"); !whole(c.stderr, strings.TrimPrefix(first, "iris: ")) {
		t.Errorf("stderr: %s", stderr)
	}
	if !whole(c.stdout, stdout) {
		t.Errorf("stdout: %q, want %s", stdout, c.stdout)
	}
	w.open()
	code, stdout, _ = w.send(c, "it@json", message, "--json")
	var reply struct {
		Outcome, Error string
		Status         int
	}
	if err := json.Unmarshal([]byte(stdout), &reply); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("%v: %s", err, stdout)
	}
	if reply.Outcome != c.outcome || reply.Status != c.status || code != c.status || !whole(c.stderr, reply.Error) {
		t.Errorf("status %d, JSON: %s", code, stdout)
	}
	if !regexp.MustCompile(c.fields).MatchString(stdout) {
		t.Errorf("no %s in %s", c.fields, stdout)
	}
}

// whole reports whether a pattern stands for all of the text.
func whole(pattern, text string) bool {
	return regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(text)
}

// open has the next message of an account that is limited begin.
func (w *witness) open() { w.command("account", "open", "truth").Run() }

// A witness sees a message sent.
type witness struct {
	*testing.T
	*house
	gate string // is not there when a message is sent
}

func (w *witness) send(c *truth, target, message string, more ...string) (code int, stdout, stderr string) {
	w.T.Helper()
	os.Remove(w.gate)
	var out, errs bytes.Buffer
	args := append(append([]string{"send", "-n", "--timeout=300s"}, more...), c.flags...)
	cmd := w.command(append(args, target, "--", message)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	if c.during != nil {
		w.runs()
		c.during(w)
	}
	cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// runs waits until the agent has begun the turn, and returns it.
func (w *witness) runs() ipc.Process {
	w.T.Helper()
	for end := time.Now().Add(2 * longEnough); ; time.Sleep(10 * time.Millisecond) {
		var list []ipc.Process
		if err := json.Unmarshal([]byte(w.run("ps", "--json")), &list); err != nil {
			w.Fatal(err)
		}
		for _, p := range list {
			if p.State == "busy" && w.written(p.SessionID) {
				return p
			}
		}
		if time.Now().After(end) {
			w.Fatal("no turn begins")
		}
	}
}

// written reports whether the agent has said that the turn runs.
func (w *witness) written(session string) bool {
	paths, _ := filepath.Glob(w.dir + "/state/iris/spool/" + session + ".*.out")
	for _, path := range paths {
		b, _ := os.ReadFile(path)
		if i := bytes.LastIndex(b, []byte(`"session_state_changed"`)); i > 0 && bytes.Contains(b[i:], []byte(`"init"`)) {
			return true
		}
	}
	return false
}

func (w *witness) cancel() {
	w.house.run("cancel", w.runs().Message)
}

func (w *witness) killAgent() {
	syscall.Kill(w.runs().PID, syscall.SIGKILL)
}

func (w *witness) killAll() {
	agent := w.runs().PID
	w.killDaemon()
	syscall.Kill(agent, syscall.SIGKILL)
}

func (w *witness) killDaemonAndOpen() {
	w.Cleanup(w.untilTaskEnds)
	w.killDaemon()
	if err := os.WriteFile(w.gate, nil, 0o600); err != nil {
		w.T.Error(err)
	}
}

// untilTaskEnds waits until no task of the agents is left.
func (w *witness) untilTaskEnds() {
	isTask := func(p string) bool { return strings.HasSuffix(p, ": sleep 300 ") }
	for end := time.Now().Add(2 * longEnough); slices.ContainsFunc(processesOf(w.dir), isTask); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Error("the task does not end")
			return
		}
	}
}

func (w *witness) killDaemon() {
	for _, p := range processesOf(w.dir) {
		if pid, cmdline, _ := strings.Cut(p, ": "); strings.HasPrefix(cmdline, "iris daemon --ready-fd") {
			n, _ := strconv.Atoi(pid)
			syscall.Kill(n, syscall.SIGKILL)
		}
	}
}
