package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pty is a terminal on which a command of iris runs: stdin, stderr and, unless
// that goes elsewhere, stdout.
type pty struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	wg   sync.WaitGroup // reads
	mu   sync.Mutex     // protects the fields below
	seen bytes.Buffer
}

// Sequences for a terminal: show the other screen and the first one, begin the page
// at the top and end it, erase a line or the rest of one.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l"
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	screenRest  = "\x1b[J"
	lineErase   = "\x1b[2K"
	eraseLine   = "\x1b[K"
)

// openPty returns both ends of a new terminal.
func openPty(t *testing.T) (pty, tty *os.File) {
	t.Helper()
	pty, tty, err := newPty()
	if err != nil {
		t.Fatal(err)
	}
	return pty, tty
}

// unlockPty makes the other end of a terminal usable and returns its path.
func unlockPty(fd int) (string, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	return "/dev/pts/" + strconv.Itoa(n), err
}

// onTerminal starts a command on a terminal of that size, which it controls.
func onTerminal(t *testing.T, cmd *exec.Cmd, columns, rows uint16) *pty {
	t.Helper()
	cmd.Env = append([]string{"TERM=xterm"}, cmd.Env...)
	master, slave := openPty(t)
	p := &pty{t: t, master: master, cmd: cmd}
	p.resize(columns, rows)
	defer slave.Close()
	cmd.Stdin, cmd.Stderr = slave, slave
	if cmd.Stdout == nil {
		cmd.Stdout = slave
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.read)
	t.Cleanup(func() {
		cmd.Process.Kill()
		p.wg.Wait()
		master.Close()
	})
	return p
}

// read takes all that is written until nobody has the terminal open.
func (p *pty) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.seen.Write(buf[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *pty) resize(columns, rows uint16) {
	p.t.Helper()
	size := &unix.Winsize{Col: columns, Row: rows}
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// awaits waits until something has been written that f accepts.
func (p *pty) awaits(what string, f func(output string) bool) {
	p.t.Helper()
	for end := time.Now().Add(longEnough); !f(p.output()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s did not come: %q", what, p.output())
		}
	}
}

// types presses keys.
func (p *pty) types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the command, and returns its exit status and all it has written.
func (p *pty) ends() (int, string) {
	p.cmd.Wait()
	p.wg.Wait()
	return p.cmd.ProcessState.ExitCode(), p.output()
}

// shows waits until text has been written.
func (p *pty) shows(text string) {
	p.t.Helper()
	p.awaits(text, func(output string) bool { return strings.Contains(output, text) })
}

// screen returns what a terminal shows of the output: lines, of which one may be
// overwritten or erased from its start. It knows no other sequence.
func screen(written string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(written, "\r\n", "\n"), "\n") {
		shown, at := []rune{}, 0
		for len(line) > 0 {
			switch {
			case line[0] == '\r':
				at, line = 0, line[1:]
			case strings.HasPrefix(line, eraseLine):
				shown, line = shown[:at], line[len(eraseLine):]
			default:
				r, n := []rune(line)[0], len(string([]rune(line)[:1]))
				shown = append(shown[:at], append([]rune{r}, shown[min(at+1, len(shown)):]...)...)
				at, line = at+1, line[n:]
			}
		}
		lines = append(lines, string(shown))
	}
	return strings.Join(lines, "\n")
}

// lastPage is what a terminal shows of the last page.
func lastPage(output string) string {
	_, page, _ := cutLast(strings.TrimSuffix(output, screenLeave), screenHome)
	page, _, _ = strings.Cut(page, screenRest)
	return strings.ReplaceAll(strings.ReplaceAll(page, lineErase, ""), "\r", "")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
