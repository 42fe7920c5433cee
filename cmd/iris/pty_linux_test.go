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

// A terminal is what a command of a test has for all three streams, and what it
// has written there.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	pty  *os.File
	wg   sync.WaitGroup
	exit error

	mu  sync.Mutex // protects out
	out bytes.Buffer
}

// openPty returns both ends of a new terminal.
func openPty(t *testing.T) (pty, tty *os.File) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(pty.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pty, tty
}

// onTerminal starts a command on a terminal of that many columns.
func onTerminal(t *testing.T, columns int, cmd *exec.Cmd) *terminal {
	t.Helper()
	pty, tty := openPty(t)
	t.Cleanup(func() { pty.Close() })
	if err := unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(cmd.Env, "TERM=xterm")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, pty: pty}
	x.wg.Go(x.read)
	return x
}

// read takes what is written until nobody has the other end.
func (x *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := x.pty.Read(buf)
		x.mu.Lock()
		x.out.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.String()
}

// shows waits until text has been written.
func (x *terminal) shows(text string) {
	x.t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(x.written(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("%q is not shown: %q", text, x.written())
		}
	}
}

// wait waits for the end of the command and returns what the terminal shows then.
func (x *terminal) wait() string {
	x.exit = x.cmd.Wait()
	x.wg.Wait()
	return screen(x.written())
}

// screen is what a terminal shows of what was written: lines, of which one may be
// written over or erased from its start. It knows no other command.
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
