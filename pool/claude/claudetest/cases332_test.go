package claudetest

import (
	"strings"
	"syscall"
	"time"
)

// newerCases are those of which the two versions that are tried do different
// things: what runs beside a turn, commands, hooks and settings.
var newerCases = []conformanceCase{
	{name: "subagent", text: [3]string{`tool:Agent:{"description":"d","prompt":"after:@GATE:echo:found","subagent_type":"general-purpose"}`, "subagent:@GATE:found"},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.user(strings.ReplaceAll(text, "GATE", gate))
			a.until("its start", func(l line) bool { return l.Subtype == "task_started" })
			a.resultOfNewer()
			open()
			a.idle()
			a.eof()
		}},
	{name: "subagent and a message meanwhile", not: OldVersion,
		text: [3]string{`tool:Agent:{"description":"d","prompt":"after:@GATE:echo:found","subagent_type":"general-purpose"}`},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.ask(strings.ReplaceAll(text, "GATE", gate))
			a.ask("echo:meanwhile")
			a.until("its end", func(l line) bool { return strings.Contains(l.raw, `"completed"`) })
			open()
			a.idle()
			a.eof()
		}},
	{name: "subagent and end of input", not: OldVersion,
		text: [3]string{`tool:Agent:{"description":"d","prompt":"after:@GATE:echo:found","subagent_type":"general-purpose"}`, "subagent:@GATE:found"},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.ask(strings.ReplaceAll(text, "GATE", gate))
			a.until("the end of the turn", func(l line) bool { return strings.Contains(l.raw, `"state":"completed"`) })
			a.stdin.Close()
			open()
			a.exit()
		}},
	{name: "subagents and interrupt", not: OldVersion,
		text: [3]string{`tool:Agent:{"description":"d","prompt":"hang","subagent_type":"general-purpose"}`, "subagent:1h:found"},
		run: func(a *agent, text string) {
			since := time.Now()
			a.user(text)
			a.until("the end of the turn", func(l line) bool { return strings.Contains(l.raw, `"state":"completed"`) })
			a.awaitTurn("hang", since)
			a.control("i", `{"subtype":"interrupt"}`)
			a.idle()
			a.eof()
		}},
	{name: "a background command and end of input", not: OldVersion,
		text: [3]string{`tool:Bash:{"command":"until test -e GATE; do sleep 0.05; done","description":"d","run_in_background":true}`, "background:@GATE:d"},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.turn(strings.ReplaceAll(text, "GATE", gate))
			a.stdin.Close()
			open()
			a.exit()
		}},
	{name: "a message during a tool", text: [3]string{`tool:Bash:{"command":"until test -e GATE; do sleep 0.05; done","description":"d"}`, "run:until test -e GATE; do sleep 0.05; done"},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.user(strings.ReplaceAll(text, "GATE", gate))
			a.until("the tool", func(l line) bool { return strings.Contains(l.raw, `"tool_use"`) })
			a.user("echo:more")
			a.heard()
			open()
			a.idle()
			a.eof()
		}},
	{name: "a turn by a schedule", slow: true, text: [3]string{`tool:CronCreate:{"cron":"* * * * *","prompt":"echo:fired","recurring":false}`, "cron:@GATE:fired"},
		run: func(a *agent, text string) {
			gate, open := a.gate()
			a.turn(strings.ReplaceAll(text, "GATE", gate))
			open()
			a.idle()
			a.eof()
		}},
	{name: "/clear", text: [3]string{"/clear", "/clear"}, run: func(a *agent, text string) {
		a.turn("echo:before")
		a.turn(text)
		a.turn("echo:after")
		a.eof()
	}},
	{name: "/compact of nothing", text: [3]string{"/compact", "/compact"}, run: turnAndEOF},
	{name: "unknown command", text: [3]string{"/nonsense", "/nonsense"}, run: turnAndEOF},
	{name: "a hook blocks the message", text: [3]string{"echo:x", "hookblock:no"}, run: turnAndEOF,
		args: hook("UserPromptSubmit", "echo no >&2; exit 2")},
	{name: "a hook defers a tool", text: [3]string{`tool:Bash:{"command":"echo ran","description":"d"}`, "defer:Bash"}, run: turnAndEOF,
		args: hook("PreToolUse", `echo '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"defer"}}'`)},
	{name: "a hook keeps the agent from stopping", text: [3]string{"echo:spoken"}, run: turnAndEOF,
		args: hook("Stop", "echo go on >&2; exit 2")},
	{name: "modes", text: same("-"), run: func(a *agent, _ string) {
		for _, mode := range []string{"plan", "bogus", "bypassPermissions", "default"} {
			a.control(mode, `{"subtype":"set_permission_mode","mode":"`+mode+`"}`)
			a.response(mode)
		}
		a.eof()
	}},
	{name: "settings", text: same("-"), run: func(a *agent, _ string) {
		a.control("s", `{"subtype":"apply_flag_settings","settings":{"crossSessionInbound":"refuse"}}`)
		a.response("s")
		a.eof()
	}},
	{name: "a message that is taken back", text: [3]string{"slow:2:@", "slow:2:@"}, run: func(a *agent, text string) {
		gate, open := a.gate()
		a.begin(text + gate)
		a.user("echo:a")
		a.user("echo:b")
		a.heard()
		a.control("c", `{"subtype":"cancel_async_message","message_uuid":"`+a.sent[1]+`"}`)
		a.response("c")
		a.control("d", `{"subtype":"cancel_async_message","message_uuid":"`+aSession+`"}`)
		a.response("d")
		open()
		a.idle()
		a.eof()
	}},
	{name: "interrupt with a message behind", text: [3]string{"hang", "hang"}, run: func(a *agent, text string) {
		a.begin(text)
		a.user("echo:a")
		a.heard()
		a.control("i", `{"subtype":"interrupt"}`)
		a.idle()
		a.eof()
	}},
	{name: "end_session with a message behind", text: [3]string{"hang", "hang"}, run: func(a *agent, text string) {
		a.begin(text)
		a.user("echo:a")
		a.heard()
		a.control("e", `{"subtype":"end_session"}`)
		a.exit()
	}},
	{name: "the same message again", text: [3]string{"hello", "hello"}, run: func(a *agent, text string) {
		l := a.userLine(text)
		a.write("%s", l)
		a.idle()
		a.write("%s", l)
		a.heard()
		a.eof()
	}},
	{name: "SIGTERM during a tool", text: [3]string{`tool:Bash:{"command":"true; sleep 60","description":"d"}`, "run:sleep 60"}, run: func(a *agent, text string) {
		a.user(text)
		a.until("the tool", func(l line) bool { return strings.Contains(l.raw, `"tool_use"`) })
		a.cmd.Process.Signal(syscall.SIGTERM)
		a.exit()
	}},
}

// hook is a setting that has a command of a shell hear of an event.
func hook(event, command string) []string {
	return []string{"--settings", toJSON(map[string]any{"hooks": map[string]any{event: []any{map[string]any{
		"hooks": []any{map[string]string{"type": "command", "command": command}},
	}}}})}
}

// resultOfNewer waits for the result of a turn that leaves something in the
// background, and for the end of its message. With an older version, which waits for
// what is there, nothing comes yet.
func (a *agent) resultOfNewer() {
	a.t.Helper()
	if strings.Contains(a.seen[len(a.seen)-1].raw, `"is_backgrounded"`) {
		a.result()
		a.until("the end of its message", func(l line) bool { return l.Type == "command_lifecycle" && strings.Contains(l.raw, `"completed"`) })
	}
}
