package claudetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"iris/pool/echo"
)

// ownTurn is a turn that the fake begins by itself.
type ownTurn struct {
	text   string
	length pause
}

// plan records a turn of the fake's own and returns the id for its message.
func (f *fake) plan(o ownTurn) string {
	id := echo.NewUUID()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own[id] = o
	return id
}

// ownAnswer runs an ownTurn.
func (f *fake) ownAnswer(ctx context.Context, t *echo.Turn) echo.Reply {
	f.mu.Lock()
	o := f.own[t.Message.UUID]
	delete(f.own, t.Message.UUID)
	f.mu.Unlock()
	o.length.over(ctx.Done(), nil)
	reply := say(o.text)
	f.charge(t, &reply)
	if ctx.Err() == nil && !f.flags.old {
		f.session.cost(f.server.Sum(), reply.Result)
		f.save()
	}
	return reply
}

// spontaneous answers, and begins a turn by itself after a delay:
// "spontaneous:DELAY[:DELAY]".
func (f *fake) spontaneous(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	delay, length, _ := strings.Cut(arg, ":")
	d, err := parsePause(delay)
	if err != nil {
		return say("bad spontaneous:DELAY[:DELAY]")
	}
	l, _ := parsePause(length)
	id := f.plan(ownTurn{"task done", l})
	begin := func() {
		f.server.System("task_updated", map[string]any{"task_id": "bfake", "patch": map[string]string{"status": "completed"}})
		m := echo.Message{UUID: id, Origin: "task-notification"}
		if !f.flags.old {
			m.Run = "run-bfake"
		}
		f.server.Enqueue(m)
	}
	return withTool(echo.Reply{Text: fmt.Sprintf("begins by itself in %v", d), After: func() { d.then(begin) }})
}

// cron answers, and begins a turn without an origin after a delay, as the real
// program's scheduler does: "cron:DELAY:TEXT[:LENGTH]".
func (f *fake) cron(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	delay, rest, _ := strings.Cut(arg, ":")
	text, length, _ := strings.Cut(rest, ":")
	d, err := parsePause(delay)
	if err != nil {
		return say("bad cron:DELAY:TEXT[:LENGTH]")
	}
	l, _ := parsePause(length)
	call := "toolu_" + echo.NewUUID()
	f.server.Blocks(map[string]any{"type": "tool_use", "id": call, "name": "CronCreate", "input": map[string]string{"prompt": text}})
	f.toolResult(call, "Scheduled.")
	id := f.plan(ownTurn{text, l})
	begin := func() { f.server.Enqueue(echo.Message{UUID: id, Wakeup: "schedule_wakeup"}) }
	return withTool(echo.Reply{Text: "scheduled", After: func() { d.then(begin) }})
}

// subagent has a subagent find TEXT: "subagent:DELAY:TEXT". It answers at once and
// begins a turn when the text is found; in the old style it waits for the text.
func (f *fake) subagent(ctx context.Context, _ *echo.Turn, arg string) echo.Reply {
	delay, text, _ := strings.Cut(arg, ":")
	d, err := parsePause(delay)
	if err != nil {
		return say("bad subagent:DELAY:TEXT")
	}
	k := f.task("Agent", "local_agent", arg)
	if f.flags.old {
		f.server.TellTask(k)
		d.over(ctx.Done(), nil)
		f.server.EndTask(k.ID, k.Description, echo.Message{})
		f.toolResult(k.Tool, text)
		return withTool(say(text))
	}
	f.toolResult(k.Tool, "Async agent launched successfully.")
	reply := say("launched")
	reply.After = func() { d.then(func() { f.endTask(k, text, text) }) }
	return withTool(reply)
}

// background answers, with a command that goes on beside the turn:
// "background:[DELAY:]WHAT". Without a delay it never ends.
func (f *fake) background(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	delay, what, _ := strings.Cut(arg, ":")
	d, err := parsePause(delay)
	if err != nil {
		what = arg
	}
	k := f.task("Bash", "local_bash", what)
	f.toolResult(k.Tool, "Command running in background with ID: "+k.ID)
	reply := say("in the background: " + what)
	if err == nil {
		summary := fmt.Sprintf("Background command %q completed (exit code 0)", what)
		reply.After = func() { d.then(func() { f.endTask(k, summary, "noted: "+summary) }) }
	}
	return withTool(reply)
}

// task begins something beside the turn, with the tool call that asks for it.
func (f *fake) task(tool, kind, description string) echo.Task {
	k := echo.Task{
		ID: kind[6:7] + echo.NewUUID()[:8], Type: kind, Description: description,
		Tool: "toolu_" + echo.NewUUID(), Text: description,
	}
	input := map[string]any{"description": description}
	f.server.Blocks(map[string]any{"type": "tool_use", "id": k.Tool, "name": tool, "input": input})
	f.server.StartTask(k)
	return k
}

// endTask ends a task, which begins a turn with that answer.
func (f *fake) endTask(k echo.Task, summary, answer string) {
	id := f.plan(ownTurn{text: answer})
	f.server.EndTask(k.ID, summary, echo.Message{Text: summary, UUID: id, Origin: "task-notification"})
}

func (f *fake) toolResult(call, content string) {
	f.server.User(map[string]any{"type": "tool_result", "tool_use_id": call, "content": content, "is_error": false})
}

// withTool turns a reply into that of a turn that has called a tool.
func withTool(r echo.Reply) echo.Reply {
	r.Result = echo.Success(r.Text)
	r.Result.NumTurns = 2
	return r
}

// run runs a command with a shell in a session of its own. Messages that the user has
// written meanwhile are answered in the same turn.
func (f *fake) run(ctx context.Context, t *echo.Turn, arg string) echo.Reply {
	cmd := exec.Command("/bin/sh", "-c", arg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	id := "toolu_" + echo.NewUUID()
	if err := cmd.Start(); err != nil {
		return echo.Reply{Result: echo.Failure(err.Error())}
	}
	f.keepTool(cmd)
	f.server.Blocks(map[string]any{"type": "tool_use", "id": id, "name": "Bash", "input": map[string]string{"command": arg}})
	f.waitTool(ctx, cmd)
	if ctx.Err() != nil {
		return say("")
	}
	f.toolResult(id, out.String())
	reply := say(fmt.Sprintf("%sstatus %d", out.String(), cmd.ProcessState.ExitCode()))
	for _, m := range t.Inject() {
		f.heard(m)
		reply = f.do(ctx, t, m.Text)
		f.ledger.write("E", m.UUID, outcome(reply))
	}
	return withTool(reply)
}

// keepTool has a tool that runs end with the process.
func (f *fake) keepTool(cmd *exec.Cmd) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tools[cmd.Process.Pid] = true
}

// waitTool waits for a tool that is kept, which an interrupt kills.
func (f *fake) waitTool(ctx context.Context, cmd *exec.Cmd) {
	pid := cmd.Process.Pid
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-pid, syscall.SIGKILL) })
	defer stop()
	cmd.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tools, pid)
}

// killTools kills the running tools; the old style leaves them alone when it is told
// to end. The process ends next: it keeps the lock, so that no turn goes on until then.
func (f *fake) killTools() {
	f.mu.Lock()
	for pid := range f.tools {
		if !f.flags.old {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// begin runs before the first line of a turn.
func (f *fake) begin(t *echo.Turn) {
	if t.Message.Text == "/clear" {
		id := echo.NewUUID()
		f.server.Clear(t, id)
		f.session.clear(id)
	}
}

// cleared answers /clear.
func (f *fake) cleared(context.Context, *echo.Turn, string) echo.Reply {
	if f.flags.old {
		f.speak("(no content)")
	}
	r := unasking("")
	f.named(r, "clear")
	return echo.Reply{Result: r}
}

// speak writes an assistant line that is not the model's.
func (f *fake) speak(text string) {
	f.server.Line(map[string]any{
		"type": "assistant", "parent_tool_use_id": nil, "session_id": f.server.SessionID(), "uuid": echo.NewUUID(),
		"message": synthetic(text, "end_turn"),
	})
}

// compact answers /compact as when there is nothing to compact.
func (f *fake) compact(context.Context, *echo.Turn, string) echo.Reply {
	const text = "Not enough messages to compact."
	f.speak(text)
	r := unasking(text)
	f.named(r, "compact")
	return echo.Reply{Result: r}
}

// named makes a result name the command that made it, which the old style does not.
func (f *fake) named(r *echo.Result, command string) {
	if !f.flags.old {
		r.LocalCommand = command
	}
}

// unasking is the result of a turn without a model call.
func unasking(text string) *echo.Result {
	return &echo.Result{Subtype: "success", Result: &text, FastModeState: "off"}
}

// hookBlock ends as when a hook refuses the message: "hookblock:TEXT".
func (f *fake) hookBlock(_ context.Context, t *echo.Turn, arg string) echo.Reply {
	text := "UserPromptSubmit operation blocked by hook:\n" + arg + "\n\nOriginal prompt: " + t.Message.Text
	f.server.System("informational", map[string]any{"content": text, "level": "warning", "prevent_continuation": true})
	return echo.Reply{Result: unasking(text)}
}

// empty speaks, and ends with an empty result: "empty:TEXT".
func (f *fake) empty(_ context.Context, t *echo.Turn, arg string) echo.Reply {
	t.Assistant(arg)
	return echo.Reply{Result: echo.Success("")}
}

// deferTool ends as when a hook defers a tool call: "defer:NAME".
func (f *fake) deferTool(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	call := map[string]any{"id": "toolu_" + echo.NewUUID(), "name": arg, "input": json.RawMessage("{}")}
	f.server.Blocks(map[string]any{"type": "tool_use", "id": call["id"], "name": arg, "input": call["input"]})
	r := unasking("")
	stop := "tool_deferred"
	r.NumTurns, r.StopReason, r.TerminalReason, r.Deferred = 1, &stop, "tool_deferred", call
	return echo.Reply{Result: r}
}
