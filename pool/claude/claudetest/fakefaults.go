package claudetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"iris/pool/echo"
)

// faults are the verbs that a good agent does not have.
var faults = map[string]verb{
	"crash":       (*fake).crashVerb,
	"die":         (*fake).die,
	"hang":        (*fake).hang,
	"deaf":        (*fake).goDeaf,
	"linger":      (*fake).linger,
	"noidle":      (*fake).noIdle,
	"garbage":     (*fake).garbage,
	"split":       (*fake).split,
	"lose":        (*fake).lose,
	"flood":       (*fake).flood,
	"fork":        (*fake).fork,
	"fail":        (*fake).fail,
	"limit":       (*fake).limit,
	"used":        (*fake).used,
	"phantom":     (*fake).phantom,
	"two":         (*fake).two,
	"background":  (*fake).background,
	"spontaneous": (*fake).spontaneous,
	"memory":      (*fake).memory,
	"stderr":      (*fake).stderr,
}

// crashAt parses "crash:WHEN:HOW"; ok reports whether text asks for a crash at that
// time.
func crashAt(text, when string) (how string, ok bool) {
	parts := strings.SplitN(text+"::", ":", 4)
	return parts[2], parts[0] == "crash" && parts[1] == when
}

// crash ends the process: with an exit status, or by a signal.
func (f *fake) crash(how string) {
	signals := map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP}
	if s, ok := signals[how]; ok {
		syscall.Kill(os.Getpid(), s)
		time.Sleep(time.Hour)
	}
	status := 1
	if n, err := strconv.Atoi(how); err == nil {
		status = n
	}
	syscall.Exit(status)
}

// crashVerb crashes before the answer, between answer and result, in the middle
// of the result's line, or after it. "crash:read" never gets here.
func (f *fake) crashVerb(_ context.Context, t *echo.Turn, arg string) echo.Reply {
	how, _ := crashAt("crash:"+arg, strings.SplitN(arg, ":", 2)[0])
	switch when, _, _ := strings.Cut(arg, ":"); when {
	case "after":
		return echo.Reply{Text: "crashes after this", After: func() { f.crash(how) }}
	case "half":
		t.Assistant("crashes in mid-line")
		line := echo.Encode(f.server.Complete(t, echo.Success("crashes in mid-line")))
		f.server.Raw(line[:len(line)/2])
	case "mid":
		t.Assistant("crashes before the result")
	}
	f.crash(how)
	return echo.Reply{}
}

// die answers, and crashes when a delay after the result is over: "die:DURATION:HOW".
func (f *fake) die(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	delay, how, _ := strings.Cut(arg, ":")
	d, err := time.ParseDuration(delay)
	if err != nil {
		return say("bad die:DURATION[:HOW]")
	}
	return echo.Reply{Text: "dies in " + delay, After: func() {
		time.AfterFunc(d, func() { f.crash(how) })
	}}
}

// hang is silent until it is interrupted; "hang:deaf" hears nothing but
// signals, "hang:partial" has begun to answer.
func (f *fake) hang(ctx context.Context, t *echo.Turn, arg string) echo.Reply {
	switch arg {
	case "deaf":
		f.setDeaf("interrupt", "end", "eof", "ping")
		f.server.System("fake_deaf", nil)
		for {
			time.Sleep(time.Hour)
		}
	case "partial":
		t.Delta("partial ")
	}
	<-ctx.Done()
	if f.signalled() && arg == "" && f.flags.old {
		syscall.Exit(f.leave(0)) // as the old program, which has nothing to write yet
	}
	return say("")
}

// goDeaf answers, and no longer hears the named things.
func (f *fake) goDeaf(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	if arg == "" {
		arg = "term,eof,end,interrupt,ping"
	}
	f.setDeaf(strings.Split(arg, ",")...)
	return say("deaf to " + arg)
}

// linger answers, and then does not exit when it should.
func (f *fake) linger(ctx context.Context, t *echo.Turn, _ string) echo.Reply {
	return f.goDeaf(ctx, t, "eof,end")
}

// noIdle answers without the state line after the result.
func (f *fake) noIdle(context.Context, *echo.Turn, string) echo.Reply {
	return echo.Reply{Text: "no idle", Busy: true}
}

// stderr writes a line to standard error.
func (f *fake) stderr(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	fmt.Fprintln(os.Stderr, arg)
	return say("said")
}

// rubbish are lines that no agent should write.
var rubbish = map[string]string{
	"text":    "Warning: something happened\n",
	"nul":     "\x00\x00{\"type\":\"result\"}\x00\n",
	"utf8":    "{\"type\":\"system\",\"subtype\":\"x\",\"text\":\"\xff\xfe\xc3\x28\"}\n",
	"badutf8": "\xff\xfe\xc3\x28\n",
	"crlf":    "{\"type\":\"system\",\"subtype\":\"crlf\"}\r\n\r\n",
	"blank":   "\n\n   \n",
	"unknown": "{\"type\":\"brand_new\",\"result\":\"no\",\"is_error\":true}\n",
	"array":   "[1,2,3]\n",
	"scalar":  "null\n5\n\"result\"\n",
	"torn":    "{\"type\":\"result\",\"subtype\":\"succ\n",
	"deep":    strings.Repeat("[", 20_000) + "\n",
	"fields":  "{\"type\":5,\"subtype\":{},\"session_id\":[]}\n",
	"escape":  "\x1b]0;title\x07\x1b[2J\n",
}

// garbage writes rubbish of one kind, or of all, and then a good answer.
func (f *fake) garbage(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	if line, ok := rubbish[arg]; ok {
		f.server.Raw([]byte(line))
		return say("after " + arg)
	}
	for _, line := range rubbish {
		f.server.Raw([]byte(line))
	}
	return say("after garbage")
}

// split writes the result in two halves with a pause between them.
func (f *fake) split(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	d, err := time.ParseDuration(arg)
	if err != nil {
		return say("bad split:DURATION")
	}
	f.output.halve(d)
	return say("in two halves, ü")
}

// lose writes half of an answer, and nothing more until it is asked something, as on
// a full disk.
func (f *fake) lose(_ context.Context, t *echo.Turn, _ string) echo.Reply {
	t.Assistant("half of an answer")
	f.output.lose()
	return say("half of an answer")
}

// output is the fake's standard output. The server writes one line at a time to
// it, so that nothing comes between two halves.
type output struct {
	mu    sync.Mutex    // protects the fields below
	pause time.Duration // between two halves of the next result; 0 to write it whole
	full  int           // 1: tear the next line, 2: lose all later ones
}

// lose tears the next line, and loses all later ones.
func (o *output) lose() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.full = 1
}

// fits returns the part of a line that has room.
func (o *output) fits(line []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case bytes.Contains(line, []byte(`"control_response"`)):
		o.full = 0
	case o.full == 1:
		o.full = 2
		return line[:len(line)/2]
	case o.full == 2:
		return nil
	}
	return line
}

// halve writes the next result in two writes.
func (o *output) halve(pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pause = pause
}

// halved returns the pause in the middle of a line, 0 for none.
func (o *output) halved(line []byte) (pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Contains(line, []byte(`"type":"result"`)) {
		pause, o.pause = o.pause, 0
	}
	return pause
}

func (o *output) Write(p []byte) (int, error) {
	pause := o.halved(p)
	if pause == 0 {
		os.Stdout.Write(o.fits(p))
		return len(p), nil
	}
	n, err := os.Stdout.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	time.Sleep(pause)
	return os.Stdout.Write(p[n:])
}

// flood writes N MB before the answer: of good lines, of one line, of plain text, or
// to standard error; "stay" then waits for an interrupt, and "endless" is a line
// without an end.
func (f *fake) flood(ctx context.Context, _ *echo.Turn, arg string) echo.Reply {
	number, kind, _ := strings.Cut(arg, ":")
	n := atoi(number)
	data := strings.Repeat("0123456789abcdef", 4<<10)
	line := echo.Encode(map[string]string{"type": "system", "subtype": "fake_flood", "data": data})
	switch kind {
	case "line":
		f.server.Line(map[string]string{"type": "system", "subtype": "fake_flood", "data": strings.Repeat(data, 16*n)})
		return say("flooded")
	case "text":
		line = []byte(data + "\n")
	case "endless":
		for ctx.Err() == nil {
			f.server.Raw([]byte(data))
		}
	}
	for range 16 * n {
		if kind == "stderr" || kind == "stay" {
			os.Stderr.WriteString(data + "\n")
		} else {
			f.server.Raw(line)
		}
	}
	if kind == "stay" {
		<-ctx.Done()
	}
	return say("flooded")
}

// fork starts a child of the kind and answers with its process id. "fork:tool"
// waits for it and kills it when interrupted, as the real program does with a
// tool.
func (f *fake) fork(ctx context.Context, _ *echo.Turn, arg string) echo.Reply {
	kind, length, _ := strings.Cut(arg, ":")
	d, err := time.ParseDuration(length)
	if err != nil {
		d = time.Minute
	}
	tool := kind == "tool"
	if tool {
		kind = "session"
	}
	cmd, pid, err := f.spawn(kind, d)
	if err != nil {
		return echo.Reply{Result: echo.Failure(err.Error())}
	}
	if tool {
		f.keepTool(cmd)
		f.waitTool(ctx, cmd)
	}
	return say(strconv.Itoa(pid))
}

// memory holds on to N MB.
func (f *fake) memory(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	p := make([]byte, atoi(arg)<<20)
	for i := 0; i < len(p); i += 4096 {
		p[i] = 1
	}
	f.mu.Lock()
	f.hoard = p
	f.mu.Unlock()
	return say("holds " + arg + " MB")
}
