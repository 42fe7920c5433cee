package main

import (
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "iris", "")
	h.run("send", "echo", "hi")
	p := onTerminal(t, h.command("ps", "--watch"), 100, 20)
	p.awaits("the agent", func(out string) bool { return strings.Contains(lastPage(out), "echo") })
	if out := p.output(); !strings.HasPrefix(out, screenEnter) || strings.Contains(out, screenLeave) {
		t.Errorf("got %q", out)
	}

	// What changes is seen within a second or so.
	h.run("wake", "echo@other")
	p.awaits("the other agent", func(out string) bool { return strings.Contains(lastPage(out), "echo@other") })

	// A narrow and low terminal gets what fits it, at once.
	p.resize(30, 4)
	p.awaits("a small page", func(out string) bool {
		page := strings.Split(lastPage(out), "\n")
		return len(page) == 4 && strings.Contains(page[3], "... 2 lines more")
	})
	for _, line := range strings.Split(lastPage(p.output()), "\n") {
		if n := utf8.RuneCountInString(line); n > 30 {
			t.Errorf("%d columns: %q", n, line)
		}
	}

	// The end of the daemon is reported, and it is not started again.
	p.resize(100, 20)
	h.run("daemon", "stop")
	p.awaits("the end of the daemon", func(out string) bool { return strings.Contains(lastPage(out), "no daemon is running") })
	h.run("ps")
	p.awaits("the next daemon", func(out string) bool { return strings.Contains(lastPage(out), "0 of 10 agents") })

	// Ctrl-Z gives the terminal back, and Ctrl-C leaves it as it was.
	p.types("\x1a")
	p.awaits("the first screen", func(out string) bool { return strings.HasSuffix(out, "\x1b[?1049l") })
	p.cmd.Process.Signal(syscall.SIGCONT)
	p.awaits("the page again", func(out string) bool {
		_, after, ok := cutLast(out, screenLeave)
		return ok && strings.Contains(after, screenEnter) && strings.Contains(after, screenRest)
	})
	p.types("\x03")
	if status, out := p.ends(); status != 0 || !strings.HasSuffix(out, screenLeave) {
		t.Errorf("status %d, ends with %q", status, out[max(0, len(out)-100):])
	}
}

func TestWatchTree(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "iris", "")
	h.run("send", "echo", "hi")
	p := onTerminal(t, h.command("ps", "--watch", "--tree"), 100, 20)
	p.awaits("the tree", func(out string) bool { return strings.Contains(lastPage(out), "COMMAND") })
	p.cmd.Process.Signal(syscall.SIGTERM)
	if status, out := p.ends(); status != 0 || !strings.HasSuffix(out, screenLeave) {
		t.Errorf("status %d, %q", status, out)
	}
}

// Elsewhere it is refused before a daemon is started.
func TestWatchNeedsATerminal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "iris", "")
	out, err := h.command("ps", "--watch").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--watch needs a terminal") || len(processesOf(h.dir)) > 0 {
		t.Errorf("got %v, %s", err, out)
	}
}
