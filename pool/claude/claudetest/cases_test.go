package claudetest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// conformanceCase is one script of inputs. What the real program writes is
// recorded; the fake and the built-in agent must write the same.
type conformanceCase struct {
	name string
	args []string
	text [3]string // the message for the real program, the fake and echo; empty echo: not run
	run  func(a *agent, text string)
	only string // compare the lines of this type only
	not  string // a version that cannot do it
	slow bool   // the real program takes a minute for it, and does it only with IRIS_SLOW

	// The real program may or may not get to write the end of the turn.
	races bool
}

func same(text string) [3]string { return [3]string{text, text, text} }

var hanging = [3]string{"hang", "hang", "/sleep 1m"}

var conformanceCases = slices.Concat(basicCases, newerCases)

var basicCases = []conformanceCase{
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
			text += gate
		}
		a.begin(text)
		a.user("echo:a")
		a.user("echo:b")
		a.heard()
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

// malformed is a line that ends the process, or does so in the older version.
func malformed(name, l string) conformanceCase {
	return conformanceCase{name: "malformed: " + name, text: same("-"), run: func(a *agent, _ string) {
		a.write("%s", l)
		a.eof()
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
	since := time.Now()
	a.user(text)
	a.until("init", func(l line) bool { return l.Subtype == "init" })
	a.awaitTurn(text, since)
}

// awaitTurn waits until the model has been asked that, where there is one.
func (a *agent) awaitTurn(text string, since time.Time) {
	a.t.Helper()
	if a.stub != nil {
		a.stub.awaitTurn(a.t, text, since)
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

// heard waits until the agent has read all its input. The record does not contain
// this.
func (a *agent) heard() {
	a.t.Helper()
	a.control("heard", `{"subtype":"get_binary_version"}`)
	a.response("heard")
	a.seen = a.seen[:len(a.seen)-1]
}

// gate is a file that is not there, and what makes it.
func (a *agent) gate() (path string, open func()) {
	a.t.Helper()
	path = filepath.Join(a.t.TempDir(), "gate")
	return path, func() { touch(a.t, path) }
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
