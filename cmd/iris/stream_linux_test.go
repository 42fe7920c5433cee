package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"iris/ipc"
)

// Before its turn a message shows its place, then the text as it comes, and at
// the end nothing but the answer.
func TestTerminalShowsThePlaceAndThenTheText(t *testing.T) {
	t.Parallel()
	i := newInn(t, "max_processes = 1", "api", "web")
	first := i.submit("api", "hang:")
	i.eventually("the turn", func() bool { return i.ps()["api@"].State == "busy" })
	second := i.submit("api", "hang:")
	gate, open := i.gate()
	x := onTerminal(t, i.command("send", "api", "slow:30:@"+gate), 80, 24)
	x.shows("api: 2nd in the queue, which waits for the turn before it")
	y := onTerminal(t, i.command("send", "web", "echo:y"), 80, 24)
	y.shows("web: waits for the only agent there may be")
	mustTell[ipc.MessageState](i, ipc.MethodCancel, ipc.MessageID{ID: second})
	x.shows("api: waits for the turn before it")
	mustTell[ipc.MessageState](i, ipc.MethodCancel, ipc.MessageID{ID: first})
	x.shows("d0 ") // the text does not come in one piece
	open()
	var want strings.Builder
	for n := range 30 {
		fmt.Fprintf(&want, "d%d ", n)
	}
	if code, got := x.ends(); screen(got) != want.String()+"\n" || code != 0 {
		t.Errorf("in the end it shows %q, status %d", screen(got), code)
	}
	if code, got := y.ends(); screen(got) != "y\n" || code != 0 {
		t.Errorf("in the end it shows %q, status %d", screen(got), code)
	}
}

func TestStatusLineFitsTheTerminal(t *testing.T) {
	t.Parallel()
	i := newInn(t, "max_processes = 1", "a-team-with-a-long-name")
	first := i.submit("a-team-with-a-long-name", "hang:")
	i.eventually("the turn", func() bool { return i.ps()["a-team-with-a-long-name@"].State == "busy" })
	x := onTerminal(t, i.command("send", "a-team-with-a-long-name", "echo:x"), 30, 24)
	x.shows("a-team-with-a-long-name: wait")
	mustTell[ipc.MessageState](i, ipc.MethodCancel, ipc.MessageID{ID: first})
	if _, got := x.ends(); screen(got) != "x\n" {
		t.Errorf("in the end it shows %q", screen(got))
	}
	for _, line := range strings.FieldsFunc(x.output(), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if n := utf8.RuneCountInString(strings.ReplaceAll(line, eraseLine, "")); n > 29 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// A pipe gets nothing of it, neither on stdout nor on stderr.
func TestPipeGetsTheAnswerOnce(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "api")
	for _, args := range [][]string{{"send", "api", "slow:3:0s"}, {"send", "--stream", "api", "slow:3:0s"}} {
		cmd := i.command(args...)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if string(out) != "d0 d1 d2 \n" || errs.Len() > 0 || err != nil {
			t.Errorf("%q: got %q, %q, %v", args, out, errs.String(), err)
		}
	}
}

// A daemon that is killed in mid-stream, or replaced, loses no line and repeats
// none, also when the turn has ended before there is another one.
func TestStreamOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "api")
	for _, c := range []struct {
		name   string
		deltas int
		end    func()
	}{
		{"killed", 100, func() { syscall.Kill(i.status().PID, syscall.SIGKILL) }},
		{"killed at the end", 6, func() { syscall.Kill(i.status().PID, syscall.SIGKILL) }},
		{"replaced", 100, i.mustReplace},
		{"replaced at the end", 6, i.mustReplace},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := streamThrough(t, i.command("send", "--output", "stream-json", "--include-partial-messages", "api", fmt.Sprintf("slow:%d:10ms", c.deltas)), c.end)
			if want := c.deltas + 3; len(lines) != want {
				t.Errorf("got %d lines, want %d", len(lines), want)
			}
			for n := range min(c.deltas, len(lines)-1) {
				if want := fmt.Sprintf(`"text":"d%d "`, n); !strings.Contains(lines[n+1], want) {
					t.Fatalf("line %d is %s, want %s in it", n+1, lines[n+1], want)
				}
			}
			if last := lines[len(lines)-1]; !strings.Contains(last, `"type":"result"`) {
				t.Errorf("the last line is %.80s", last)
			}
		})
	}
}

// So does one whose daemon goes after the record of the end, before the client has read
// all of the output.
func TestSlowStreamOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "api")
	for name, end := range map[string]func(){
		"killed":   func() { syscall.Kill(i.status().PID, syscall.SIGKILL) },
		"replaced": i.mustReplace,
	} {
		t.Run(name, func(t *testing.T) {
			cmd := i.command("send", "--output", "stream-json", "api@"+name, "size:400000")
			out, errs := started(t, cmd)
			i.eventually("the end", func() bool { return i.run("messages", "-q", "--state", "done", "api@"+name) != "" })
			end()
			all, _ := io.ReadAll(out)
			lines := strings.Split(strings.TrimSpace(string(all)), "\n")
			if err := cmd.Wait(); err != nil || errs.Len() > 0 || !strings.Contains(lines[len(lines)-1], `"type":"result"`) {
				t.Errorf("%d lines, %d bytes, %v: %s", len(lines), len(all), err, errs.String())
			}
		})
	}
}

// started starts a command, and returns its stdout and what it writes to stderr.
func started(t *testing.T, cmd *exec.Cmd) (stdout io.Reader, stderr *strings.Builder) {
	t.Helper()
	stderr = new(strings.Builder)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, stderr
}

// streamThrough runs a command and calls f once it has printed a few lines.
func streamThrough(t *testing.T, cmd *exec.Cmd, f func()) (lines []string) {
	t.Helper()
	out, errs := started(t, cmd)
	for s := bufio.NewScanner(out); s.Scan(); {
		if lines = append(lines, s.Text()); len(lines) == 4 {
			f()
		}
	}
	if err := cmd.Wait(); err != nil || errs.Len() > 0 {
		t.Errorf("%v: %s", err, errs.String())
	}
	return lines
}

// A wait that was cut short says where to go on.
func TestInterruptedStreamGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "api")
	gate, open := i.gate()
	cmd := i.command("send", "--output", "stream-json", "--include-partial-messages", "api", "slow:100:@"+gate)
	out, errs := started(t, cmd)
	var lines []string
	for s := bufio.NewScanner(out); s.Scan(); {
		if lines = append(lines, s.Text()); len(lines) == 2 {
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
	cmd.Wait()
	open()
	said := regexp.MustCompile(`"iris (wait --output stream-json --include-partial-messages --after \d+ \w+)"`).FindStringSubmatch(errs.String())
	if cmd.ProcessState.ExitCode() != 130 || said == nil {
		t.Fatalf("status %d: %s", cmd.ProcessState.ExitCode(), errs.String())
	}
	rest := strings.Split(strings.TrimSpace(i.run(strings.Fields(said[1])...)), "\n")
	if lines = append(lines, rest...); len(lines) != 103 {
		t.Errorf("got %d lines", len(lines))
	}
	for n := range 100 {
		var m struct {
			Event struct{ Delta struct{ Text string } }
		}
		if json.Unmarshal([]byte(lines[n+1]), &m); m.Event.Delta.Text != fmt.Sprintf("d%d ", n) {
			t.Fatalf("line %d is %s", n+1, lines[n+1])
		}
	}
}
