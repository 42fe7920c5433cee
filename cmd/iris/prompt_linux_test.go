package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"iris/ipc"
)

// dialog is a command on a terminal of its own, as a shell in the foreground.
type dialog struct {
	*pty
	at  int             // what the terminal has shown before is done with
	out strings.Builder // standard output, where that is no terminal
}

func (d *deciding) dialog(args ...string) *dialog { return d.dialogWith(false, args...) }

// dialogWith has standard output on the terminal too, or in x.out.
func (d *deciding) dialogWith(stdout bool, args ...string) *dialog {
	d.t.Helper()
	x, cmd := &dialog{}, d.command(args...)
	if !stdout {
		cmd.Stdout = &x.out
		cmd.Env = append(cmd.Env, "TERM=")
	}
	x.pty = onTerminal(d.t, cmd, 80, 24)
	return x
}

// rest is what the terminal has shown since.
func (x *dialog) rest() string { return x.output()[x.at:] }

// until waits until the terminal shows want, and returns the output before it.
func (x *dialog) until(want string) string {
	x.t.Helper()
	x.awaits(want, func(string) bool { return strings.Contains(x.rest(), want) })
	before, _, _ := strings.Cut(x.rest(), want)
	x.at += len(before) + len(want)
	return before
}

// more is the output within that time.
func (x *dialog) more(d time.Duration) string {
	time.Sleep(d)
	return x.rest()
}

func (x *dialog) exit() int { code, _ := x.ends(); return code }

const question = "/why] " // the end of it

func TestPersonAtATerminalIsAsked(t *testing.T) {
	t.Parallel()
	withBoth(t, "", func(t *testing.T, d *deciding) {
		x := d.dialog("send", "api", d.call)
		shown := x.until(question)
		if !strings.Contains(shown, "team:") || !strings.Contains(shown, "api") || !strings.Contains(shown, "Bash") || !strings.Contains(shown, "input command:\r\n  | ") {
			t.Errorf("shown %q", shown)
		}
		x.types("y\n")
		if code := x.exit(); code != 0 || x.out.String() != d.allowed+"\n" {
			t.Errorf("status %d, %q", code, x.out.String())
		}
		x = d.dialog("send", "api", d.call)
		x.until(question)
		x.types("try something else\n")
		if code := x.exit(); code != 9 || !strings.Contains(x.out.String(), "the user has denied this: try something else") {
			t.Errorf("status %d, %q", code, x.out.String())
		}
	})
}

// Always is an answer where the agent offers something, and asks again elsewhere.
func TestPersonAtATerminalAllowsForGood(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", "ask:Bash:{} Write:{}")
	x.until("always:")
	x.until("allow? [y/N/always/why] ")
	x.types("always\n")
	x.until("iris: until it ends, the agent of team api may use without asking: Bash\r\n")
	x.until("allow? [y/N/why] ")
	x.types("a\n")
	x.until("(Write): the agent offers nothing to allow from now on")
	x.until("allow? [y/N/why] ")
	x.types("n\n")
	if code := x.exit(); code != 9 || x.out.String() != "allowed: {}\nthe user has denied this\n" {
		t.Errorf("status %d, %q", code, x.out.String())
	}
	if out := d.run("send", "-n", "api", d.call); out != d.allowed+"\n" {
		t.Errorf("it is asked for again, and answers %q", out)
	}
}

// The question and the text that comes as it is written share a terminal.
func TestQuestionAmongStreamedText(t *testing.T) {
	t.Parallel()
	withBoth(t, "", func(t *testing.T, d *deciding) {
		x := d.dialogWith(true, "send", "api", d.call)
		x.until(question)
		if before := x.more(200 * time.Millisecond); before != "" {
			t.Errorf("while the question waits: %q", before)
		}
		x.types("y\n")
		x.until(d.allowed)
		if code := x.exit(); code != 0 {
			t.Errorf("status %d", code)
		}
	})
}

func TestOnlyAPlainYesAllows(t *testing.T) {
	for line, want := range map[string]ipc.Decide{
		"y\n": {Allow: true}, " YES \n": {Allow: true}, "\n": {}, "n\n": {}, "No\n": {}, "yes, but not there\n": {Reason: "yes, but not there"},
		"a\n": {Allow: true, Always: true}, "Always\n": {Allow: true, Always: true}, "always this\n": {Reason: "always this"},
		"y\xff\n": {Reason: "y\uFFFD"}, "yy\n": {Reason: "yy"},
	} {
		if got := decision("", line); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", line, got, want)
		}
	}
}

// Input typed before the question is no answer to it.
func TestWhatWasTypedBeforeIsNoAnswer(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", "ask:Bash:{} Write:{}")
	x.until(question)
	x.types("y\ny\n") // the second line comes before the second question
	x.until("Write")
	x.until(question)
	x.types("\n")
	if code := x.exit(); code != 9 || x.out.String() != "allowed: {}\nthe user has denied this\n" {
		t.Errorf("status %d, %q", code, x.out.String())
	}
}

func TestQuestionEndsWhenSomebodyElseDecides(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", d.call)
	x.until(question)
	d.run("approve", d.pending().ID)
	x.until("was allowed by pid")
	if code := x.exit(); code != 0 || x.out.String() != d.allowed+"\n" {
		t.Errorf("status %d, %q", code, x.out.String())
	}
}

// The wait often ends with that, before the question does.
func TestDecisionThatEndsTheWaitIsTold(t *testing.T) {
	p := &prompter{over: true, decisions: map[string]string{"a": "was allowed by pid 1"}}
	if err := p.still("a"); !errors.Is(err, errElsewhere) {
		t.Errorf("got %v", err)
	}
	if err := p.still("b"); !errors.Is(err, errEnded) {
		t.Errorf("of another one: %v", err)
	}
}

// Ctrl-C at the question ends the wait as ever, and the approval still waits.
func TestInterruptAtTheQuestionEndsTheWait(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", d.call)
	x.until(question)
	x.types("y\x03")
	x.until("goes on")
	if code := x.exit(); code != 130 {
		t.Errorf("status %d", code)
	}
	a := d.pending()
	x = d.dialog("wait", a.Message)
	x.until(question)
	x.types("y\n")
	if code := x.exit(); code != 0 || x.out.String() != d.allowed+"\n" {
		t.Errorf("status %d, %q", code, x.out.String())
	}
}

func TestEndOfInputAtTheQuestionDecidesNothing(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", d.call)
	x.until(question)
	x.types("\x04")
	x.until("still waits; \"iris approve ")
	d.run("approve", d.pending().ID)
	if code := x.exit(); code != 0 {
		t.Errorf("status %d", code)
	}
}

// The question survives the program of the daemon.
func TestQuestionOutlivesTheProgramOfTheDaemon(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", d.call)
	x.until(question)
	d.mustReplace()
	x.types("y\n")
	if code := x.exit(); code != 0 || x.out.String() != d.allowed+"\n" || strings.Contains(x.rest(), question) {
		t.Errorf("status %d, %q, %q", code, x.out.String(), x.rest())
	}
}

// Nothing of an agent steers the terminal, or looks like a line of ours.
func TestQuestionIsNeutralised(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", `ask:Bash:{"command":"ls\u001b[2J\u001b]52;c;x\u0007\nallow? [y/N/why] y\rrm -rf\u202e\ttab","\u001b[1mkey":{"a":"\u009b"}}`)
	shown := x.until(`"a":`)
	if strings.ContainsAny(shown, "\x1b\x07\u202e\u009b") || !strings.Contains(shown, "\r\n  | allow? [y/N/why] y") || strings.Contains(strings.ReplaceAll(shown, "\r\n", ""), "\r") {
		t.Errorf("shown %q", shown)
	}
	x.until("\r\nallow? [y/N/always/why] ")
	x.types("\n")
	x.exit()
}
