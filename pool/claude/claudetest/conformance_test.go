package claudetest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "write what the real program does to testdata/conformance.json")

const goldenFile = "testdata/conformance.json"

const aSession = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"

// conformanceCase is one script of inputs. What the real program writes is
// recorded; the fake and the built-in agent must write the same.
type conformanceCase struct {
	name string
	args []string
	text [3]string // the message for the real program, the fake and echo; empty echo: not run
	run  func(a *agent, text string)
	only string // compare the lines of this type only

	// The real program may or may not get to write the end of the turn.
	races bool
}

func same(text string) [3]string { return [3]string{text, text, text} }

var hanging = [3]string{"hang", "hang", "/sleep 1m"}

var conformanceCases = []conformanceCase{
	{name: "control requests", text: same("-"), run: func(a *agent, _ string) {
		for _, subtype := range []string{"get_binary_version", "interrupt", "nonsense"} {
			a.control(subtype, `{"subtype":"`+subtype+`"}`)
		}
		a.write(`{"type":"control_request","request":{}}`)
		a.eof()
	}},
	{name: "one message", text: same("hello"), run: func(a *agent, text string) { a.turn(text); a.eof() }},
	{name: "two messages", text: same("hello"), run: func(a *agent, text string) { a.turn(text); a.turn(text); a.eof() }},
	{name: "content in blocks", text: same("hello"), run: func(a *agent, text string) {
		a.write(`{"type":"user","message":{"role":"user","content":[{"type":"text","text":%q}]}}`, text)
		a.eof()
	}},
	{name: "last line without an end", text: same("hello"), run: func(a *agent, text string) {
		fmt.Fprintf(a.stdin, `{"type":"user","message":{"role":"user","content":%q}}`, text)
		a.eof()
	}},
	{name: "interrupt", text: hanging, run: func(a *agent, text string) {
		a.begin(text)
		a.control("i", `{"subtype":"interrupt"}`)
		a.idle()
		a.turn("again")
		a.eof()
	}},
	{name: "interrupt, then end of input", text: hanging, run: func(a *agent, text string) {
		a.begin(text)
		a.control("i", `{"subtype":"interrupt"}`)
		a.idle()
		a.eof()
	}},
	{name: "interrupt with a partial answer", args: inPieces, text: [3]string{"slow:1000:20ms", "slow:1000:20ms"}, run: func(a *agent, text string) {
		a.beginToAnswer(text)
		a.control("i", `{"subtype":"interrupt"}`)
		a.idle()
		a.eof()
	}},
	{name: "end_session, idle", text: same("hello"), run: func(a *agent, text string) {
		a.turn(text)
		a.control("e", `{"subtype":"end_session"}`)
		a.exit()
	}},
	{name: "end_session during a turn", text: hanging, run: func(a *agent, text string) {
		a.begin(text)
		a.control("e", `{"subtype":"end_session"}`)
		a.exit()
	}},
	{name: "end of input during a turn", text: [3]string{"slow:5:100ms", "slow:5:100ms", "/sleep 500ms x"}, run: func(a *agent, text string) {
		a.begin(text)
		a.eof()
	}},
	{name: "messages that wait are merged", text: [3]string{"slow:2:@", "slow:2:@", "/sleep 800ms x"}, run: func(a *agent, text string) {
		gate, open := a.gate()
		if strings.HasPrefix(text, "slow") {
			a.begin(text + gate)
			a.user("echo:a")
			a.user("echo:b")
			a.heard()
		} else { // in one write, well before the end of the first turn
			a.write("%s\n%s\n%s", userLine(text), userLine("echo:a"), userLine("echo:b"))
		}
		open()
		a.idle()
		a.eof()
	}},
	{name: "lines that are ignored", text: same("hello"), run: func(a *agent, text string) {
		for _, l := range []string{"", "[]", "{}", "5", `"x"`, `{"type":"zzz"}`, `{"type":"keep_alive"}`} {
			a.write("%s", l)
		}
		a.turn(text)
		a.eof()
	}},
	malformed("not JSON", "not json"), malformed("null", "null"), malformed("CR LF on a blank line", "\r"),
	malformed("user without message", `{"type":"user"}`), malformed("no request", `{"type":"control_request"}`),
	malformed("role assistant", `{"type":"user","message":{"role":"assistant","content":"x"}}`),
	malformed("no content", `{"type":"user","message":{"role":"user"}}`),
	{name: "tool", text: [3]string{`tool:Bash:{"command":"echo ran","description":"d"}`, `tool:Bash:{"command":"x"}`}, run: turnAndEOF},
	{name: "API error 500", text: [3]string{"status:500", "fail:500"}, run: turnAndEOF},
	{name: "API error 401", text: [3]string{"status:401", "fail:401"}, run: turnAndEOF},
	{name: "API error 429", text: [3]string{"status:429", "fail:429"}, run: turnAndEOF},
	{name: "API error 413", text: [3]string{"status:413", "fail:413"}, run: turnAndEOF},
	{name: "turn limit", args: []string{"--max-turns", "1"}, only: "result", run: turnAndEOF,
		text: [3]string{`tool:Bash:{"command":"echo ran","description":"d"}`, "fail:turns"}},
	{name: "denied", text: [3]string{`tool:Bash:{"command":"touch /elsewhere","description":"d"}`, "fail:denied"}, run: turnAndEOF},
	asked("allowed", `{"behavior":"allow","updatedInput":{"command":"echo x; touch /tmp/","description":"d"}}`),
	asked("denied", `{"behavior":"deny","message":"no"}`),
	{name: "permission and end of input", args: askArgs, text: askText, run: func(a *agent, text string) { a.asks(text); a.eof() }},
	{name: "permission and interrupt", args: askArgs, text: askText, only: "control_cancel_request", run: func(a *agent, text string) {
		a.asks(text)
		a.control("i", `{"subtype":"interrupt"}`)
		a.idle()
		a.eof()
	}},
	{name: "a turn of its own", only: "result", text: [3]string{
		`tool:Bash:{"command":"until test -e GATE; do sleep 0.05; done","description":"d","run_in_background":true}`, "spontaneous:@GATE"},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.turn(strings.ReplaceAll(text, "GATE", gate))
			open()
			a.idle()
			a.eof()
		}},
	{name: "session id in use", args: []string{"--session-id", aSession}, text: [3]string{"hello", "hello"}, run: func(a *agent, text string) {
		a.turn(text)
		a.eof()
		a.replace("--session-id", aSession).exit()
	}},
	{name: "resume", args: []string{"--session-id", aSession}, text: [3]string{"hello", "hello"}, run: func(a *agent, text string) {
		a.turn(text)
		a.eof()
		b := a.replace("--resume", aSession)
		b.turn("dump")
		b.eof()
	}},
	{name: "partial messages and replay", args: []string{"--include-partial-messages", "--replay-user-messages"},
		text: [3]string{"slow:3:1ms", "slow:3:1ms"}, run: turnAndEOF},
	signalled("SIGTERM", syscall.SIGTERM, "hang"), signalled("SIGHUP", syscall.SIGHUP, "hang"),
	{name: "SIGINT during a turn", races: true, text: [3]string{"hang", "hang"}, run: func(a *agent, text string) {
		a.begin(text)
		a.cmd.Process.Signal(syscall.SIGINT)
		a.exit()
	}},
	{name: "SIGINT in mid-answer during a turn", races: true, args: inPieces, text: [3]string{"slow:1000:20ms", "slow:1000:20ms"}, run: func(a *agent, text string) {
		a.beginToAnswer(text)
		a.cmd.Process.Signal(syscall.SIGINT)
		a.exit()
	}},
}

func turnAndEOF(a *agent, text string) { a.turn(text); a.eof() }

// askText are messages whose tool needs permission, and askArgs have it asked for.
var (
	askText = [3]string{`tool:Bash:{"command":"touch /elsewhere","description":"d"}`, `ask:Bash:{"command":"touch /elsewhere","description":"d"}`}
	askArgs = []string{"--permission-prompt-tool=stdio"}
)

// asked is a tool call about which that is decided.
func asked(name, decision string) conformanceCase {
	return conformanceCase{name: "permission " + name, args: askArgs, text: askText, run: func(a *agent, text string) {
		a.write(`{"type":"control_response","response":{"subtype":"success","request_id":%q,"response":%s}}`, a.asks(text), decision)
		a.idle()
		a.eof()
	}}
}

// asks sends a message and returns the id of the request that it leads to.
func (a *agent) asks(text string) (id string) {
	a.t.Helper()
	a.user(text)
	l := a.until("request", func(l line) bool { return l.Type == "control_request" })
	var m struct {
		ID string `json:"request_id"`
	}
	json.Unmarshal([]byte(l.raw), &m)
	return m.ID
}

// malformed is a line that ends the process.
func malformed(name, l string) conformanceCase {
	return conformanceCase{name: "malformed: " + name, text: same("-"), run: func(a *agent, _ string) {
		a.write("%s", l)
		a.exit()
	}}
}

// signalled is a signal during a turn. The built-in agent handles none itself.
func signalled(name string, s syscall.Signal, text string) conformanceCase {
	return conformanceCase{name: name + " during a turn", text: [3]string{text, text}, run: func(a *agent, text string) {
		a.begin(text)
		a.cmd.Process.Signal(s)
		a.exit()
	}}
}

// turn sends a message and waits until the agent is idle again.
func (a *agent) turn(text string) {
	a.t.Helper()
	a.user(text)
	a.idle()
}

// begin sends a message and waits until its turn is under way, and the model is
// asked where there is one.
func (a *agent) begin(text string) {
	a.t.Helper()
	a.user(text)
	a.until("init", func(l line) bool { return l.Subtype == "init" })
	if a.stub != nil {
		a.stub.awaitTurn(a.t, text)
	}
}

// inPieces has an agent write each piece of an answer. beginToAnswer waits for one
// and leaves them out of the record: how many there are is a matter of time.
var inPieces = []string{"--include-partial-messages"}

func (a *agent) beginToAnswer(text string) {
	a.t.Helper()
	a.begin(text)
	a.until("a piece", func(l line) bool { return strings.Contains(l.raw, "text_delta") })
	a.unpieced = true
}

// gate is a file that is not there, and what makes it.
func (a *agent) gate() (path string, open func()) {
	a.t.Helper()
	path = filepath.Join(a.t.TempDir(), "gate")
	return path, func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			a.t.Error(err)
		}
	}
}

// heard waits until the agent has read all that was written to it. The record has
// nothing of that.
func (a *agent) heard() {
	a.t.Helper()
	a.control("heard", `{"subtype":"get_binary_version"}`)
	a.response("heard")
	a.seen = a.seen[:len(a.seen)-1]
}

func (a *agent) idle() {
	a.t.Helper()
	a.until("idle", func(l line) bool { return l.State == "idle" })
}

// replace starts the same program again; its lines join the record.
func (a *agent) replace(args ...string) *agent {
	a.t.Helper()
	a.next = start(a.t, a.cmd.Path, a.cmd.Dir, a.cmd.Env, args...)
	return a.next
}

func TestConformance(t *testing.T) {
	golden := map[string][]string{}
	data, err := os.ReadFile(goldenFile)
	if err == nil {
		err = json.Unmarshal(data, &golden)
	}
	if err != nil && !*update {
		t.Fatal(err)
	}
	t.Run("claude", func(t *testing.T) {
		program := Real(t)
		stub := NewStub()
		defer stub.Close()
		conform(t, 0, stub, program, append(stub.Env(t.TempDir()), "CLAUDE_CODE_MAX_RETRIES=0"), golden)
	})
	if *update {
		writeGolden(t, golden)
	}
	dir := t.TempDir()
	t.Run("fake", func(t *testing.T) { conform(t, 1, nil, Install(dir), fakeEnv(t), golden) })
	self, _ := os.Executable()
	agent := filepath.Join(dir, echoName)
	os.Symlink(self, agent)
	t.Run("echo", func(t *testing.T) { conform(t, 2, nil, agent, fakeEnv(t), golden) })
}

func writeGolden(t *testing.T, golden map[string][]string) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(golden); err != nil {
		t.Fatal(err)
	}
	os.MkdirAll("testdata", 0o755)
	if err := os.WriteFile(goldenFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// conform runs every case against one program. With -update the real program
// writes the record; it has a stub.
func conform(t *testing.T, which int, stub *Stub, program string, env []string, golden map[string][]string) {
	env = append(env, "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1")
	for _, c := range conformanceCases {
		if c.text[which] == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			a := start(t, program, workDir(t), slices.Concat(env, []string{"CLAUDE_CONFIG_DIR=" + t.TempDir()}), c.args...)
			a.stub = stub
			a.control("init", `{"subtype":"initialize"}`)
			a.response("init")
			c.run(a, c.text[which])
			got := a.record(c.only)
			if *update && which == 0 {
				golden[c.name] = got
			}
			want := golden[c.name]
			if c.races && which == 0 {
				got, want = withoutEnd(got), withoutEnd(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
	}
}

// record describes all lines, the exit status and standard error, and the same
// of the process that followed.
func (a *agent) record(only string) []string {
	for l := range a.lines {
		a.seen = append(a.seen, l)
	}
	var out []string
	for _, l := range a.seen {
		if s := signature(l); s != "" && (only == "" || l.Type == only) && !(a.unpieced && l.Type == "stream_event") {
			out = append(out, s)
		}
	}
	errors := a.stderr.String()
	if i := strings.Index(errors, "input line: "); i > 0 {
		errors = errors[:i] + "input line: ...\n"
	}
	out = append(out, fmt.Sprintf("%v %s", a.cmd.ProcessState, strings.TrimSpace(errors)))
	if a.next != nil {
		out = append(out, a.next.record(only)...)
	}
	return out
}

// endOfTurn are the lines of a turn's end.
var endOfTurn = regexp.MustCompile(` type="(assistant|user|result)"`)

// withoutEnd is a record without those.
func withoutEnd(record []string) []string {
	return slices.DeleteFunc(slices.Clone(record), endOfTurn.MatchString)
}

// valued are the fields of which the value counts, and not only its kind.
var valued = regexp.MustCompile(`^(type|subtype|state|is_error|num_turns|terminal_reason|stop_reason|api_error_status|` +
	`parent_tool_use_id|isReplay|origin|request_id|role|response\.error|message\.role|response\.subtype|response\.request_id)$`)

// private are fields that only the real program has, and no reader of ours
// looks at.
var private = regexp.MustCompile(`^(ttft_ms|ttft_stream_ms|time_to_request_ms|timestamp|tool_use_result|message\..*|` +
	`analytics_disabled|product_feedback_disabled|memory_paths|response\.response\..*)$`)

// signature says what a line is: its fields by name, each with its value or the
// kind of it. Empty for lines that are left out of account.
func signature(l line) string {
	var fields map[string]any
	if json.Unmarshal([]byte(l.raw), &fields) != nil {
		return "garbage"
	}
	if strings.HasPrefix(l.Subtype, "task_") || l.Subtype == "status" || l.Type == "stream_event" && !strings.Contains(l.raw, "text_delta") {
		return ""
	}
	if l.Type == "assistant" {
		delete(fields, "request_id") // the stub's, sent by no fake
	}
	if strings.HasPrefix(l.Type, "control_") && fields["request_id"] != nil {
		fields["request_id"] = "its own"
	}
	out := describe("", fields)
	slices.Sort(out)
	return strings.Join(out, " ")
}

func describe(prefix string, fields map[string]any) []string {
	var out []string
	for name, v := range fields {
		name = prefix + name
		inner, isObject := v.(map[string]any)
		switch {
		case private.MatchString(name):
		case valued.MatchString(name):
			out = append(out, name+"="+toJSON(v))
		case isObject && (name == "response" || name == "message"):
			out = append(out, describe(name+".", inner)...)
		default:
			out = append(out, name+":"+kindOf(v))
		}
	}
	return out
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	case float64:
		return "number"
	default:
		return fmt.Sprintf("%T", v)
	}
}
