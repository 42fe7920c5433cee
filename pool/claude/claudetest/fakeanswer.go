package claudetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"iris/pool/echo"
)

// Prices of a million tokens, as the real program computes them for its usual model.
const (
	inputPrice  = 5.0
	outputPrice = 25.0
)

// FakeCost is the cost of a turn of the fake.
func FakeCost(message, answer string) float64 {
	in, out := fakeTokens(message, answer)
	return (float64(in)*inputPrice + float64(out)*outputPrice) / 1e6
}

func fakeTokens(message, answer string) (in, out int64) {
	return int64(len(message)/4 + 1000), int64(len(answer)/4 + 1)
}

// verb is what a message that begins with its name does.
type verb func(f *fake, ctx context.Context, t *echo.Turn, arg string) echo.Reply

// verbs are the verbs that the fake and the stub share.
var verbs map[string]verb

// setVerbs sets verbs: a verb may call another one.
func setVerbs() {
	verbs = map[string]verb{
		"slow":  (*fake).slow,
		"sleep": (*fake).sleep,
		"tool":  (*fake).tool,
		"ask":   (*fake).ask,
		"run":   (*fake).run,

		"subagent":  (*fake).subagent,
		"cron":      (*fake).cron,
		"hookblock": (*fake).hookBlock,
		"empty":     (*fake).empty,
		"defer":     (*fake).deferTool,
		"/clear":    (*fake).cleared,
		"/compact":  (*fake).compact,
	}
}

// tells are the verbs that only report something.
var tells = map[string]func(f *fake, arg string) string{
	"echo":    func(_ *fake, arg string) string { return arg },
	"size":    func(_ *fake, arg string) string { return Text(atoi(arg)) },
	"big":     func(_ *fake, arg string) string { return Text(atoi(arg)) },
	"dump":    func(f *fake, _ string) string { return toJSON(f.session.texts()) },
	"count":   func(f *fake, _ string) string { return strconv.Itoa(len(f.session.texts())) },
	"env":     func(*fake, string) string { return toJSON(environ()) },
	"args":    func(f *fake, _ string) string { return toJSON(f.server.Options.Args) },
	"fds":     func(f *fake, _ string) string { return toJSON(f.fds) },
	"cwd":     func(*fake, string) string { return getwd() },
	"pid":     func(*fake, string) string { return strconv.Itoa(os.Getpid()) },
	"umask":   func(*fake, string) string { return statusField("Umask") },
	"nice":    func(*fake, string) string { return strconv.Itoa(nice()) },
	"limits":  func(*fake, string) string { return toJSON(limits()) },
	"inherit": func(*fake, string) string { return toJSON(inherited()) },
	"reloads": (*fake).reloads,
}

func say(text string) echo.Reply { return echo.Reply{Text: text} }

// answer runs one turn: the message picks what to do, ledger and transcript
// see its begin and its end.
func (f *fake) answer(ctx context.Context, t *echo.Turn) echo.Reply {
	m := t.Message
	if m.Origin != "" && m.Text == "phantom" {
		return echo.Reply{Result: phantomResult()}
	}
	if m.Origin != "" || m.Wakeup != "" {
		return f.ownAnswer(ctx, t)
	}
	if m.UUID == "" {
		m.UUID = echo.NewUUID()
	}
	f.heard(m)
	f.flags.latency.over(ctx.Done(), nil)
	reply := f.do(ctx, t, m.Text)
	f.charge(t, &reply)
	f.session.assistant(reply.Text)
	if ctx.Err() == nil && !f.flags.old {
		f.session.cost(f.server.Sum(), reply.Result)
	}
	f.save()
	word := outcome(reply)
	reply.Ending = func(interrupted bool) {
		if interrupted {
			word = "interrupted"
		}
		f.ledger.write("E", m.UUID, word)
	}
	after := reply.After
	reply.After = func() {
		f.ledger.write("W", m.UUID, "")
		if after != nil {
			after()
		}
	}
	reply.Busy = reply.Busy || f.signalled() // the real program's last line is then the result
	return reply
}

// heard records the beginning of a message in ledger and transcript.
func (f *fake) heard(m echo.Message) {
	f.ledger.write("B", m.UUID, firstBytes(m.Text, 100))
	if m.Text != "/clear" && m.Text != "/compact" {
		f.session.user(m)
	}
	if f.flags.late == 0 {
		f.session.flush()
	}
}

// command is a message that Claude Code 2.1.197 takes for a command.
var command = regexp.MustCompile(`^/[a-z-]+$`)

// do finds the verb; any other message is answered as the stub would.
func (f *fake) do(ctx context.Context, t *echo.Turn, text string) echo.Reply {
	name, arg, _ := strings.Cut(text, ":")
	name = strings.TrimSpace(name)
	if tell, ok := tells[name]; ok {
		return say(tell(f, arg))
	}
	for _, table := range []map[string]verb{verbs, faults} {
		if v, ok := table[name]; ok {
			return v(f, ctx, t, arg)
		}
	}
	if f.flags.old && command.MatchString(text) {
		f.speak("Unknown command: " + text)
		return echo.Reply{Result: unasking("Unknown command: " + text)}
	}
	return say("ok: " + text)
}

// charge adds cost and tokens to the result.
func (f *fake) charge(t *echo.Turn, reply *echo.Reply) {
	if reply.Result == nil {
		reply.Result = echo.Success(reply.Text)
	}
	f.price(t, reply.Result, reply.Text)
}

func (f *fake) price(t *echo.Turn, r *echo.Result, text string) {
	if r.IsError || r.NumTurns == 0 {
		return
	}
	r.Input, r.Output = fakeTokens(t.Message.Text, text)
	r.Cost, r.API = FakeCost(t.Message.Text, text), time.Millisecond
}

// save writes the transcript to disk, at once or as late as requested.
func (f *fake) save() {
	if f.flags.late == 0 {
		f.session.flush()
		return
	}
	time.AfterFunc(f.flags.late, f.session.flush)
}

// outcome is the ledger's word for how a turn ends that nobody interrupts.
func outcome(reply echo.Reply) string {
	if reply.Result != nil && reply.Result.IsError {
		return "error"
	}
	return "success"
}

// slow answers "d0 d1 ... " with a pause after each delta.
func (f *fake) slow(ctx context.Context, t *echo.Turn, arg string) echo.Reply {
	number, delay, _ := strings.Cut(arg, ":")
	p, err := parsePause(delay)
	if err != nil {
		return say("bad slow:N:DELAY")
	}
	n := atoi(number)
	for i := range n {
		t.Delta(fmt.Sprintf("d%d ", i))
		if !p.over(ctx.Done(), nil) {
			return say("")
		}
	}
	return say(SlowText(n))
}

// sleep answers after a delay.
func (f *fake) sleep(ctx context.Context, _ *echo.Turn, arg string) echo.Reply {
	p, err := parsePause(arg)
	if err != nil {
		return say("bad sleep:DELAY")
	}
	p.over(ctx.Done(), nil)
	return say("slept " + arg)
}

// tool writes the lines of a tool call, without a tool.
func (f *fake) tool(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	name, in, _ := strings.Cut(arg, ":")
	if !json.Valid([]byte(in)) {
		return say("bad tool:NAME:{json}")
	}
	id := "toolu_" + echo.NewUUID()
	f.server.Blocks(map[string]any{"type": "tool_use", "id": id, "name": name, "input": json.RawMessage(in)})
	f.server.User(map[string]any{"type": "tool_result", "tool_use_id": id, "content": "ran", "is_error": false})
	r := echo.Success("tool said: ran")
	r.NumTurns = 2
	return echo.Reply{Text: "tool said: ran", Result: r}
}

func environ() map[string]string {
	out := map[string]string{}
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		out[k] = v
	}
	return out
}

func getwd() string {
	dir, err := os.Getwd()
	if err != nil {
		return err.Error()
	}
	return dir
}

func firstBytes(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}
