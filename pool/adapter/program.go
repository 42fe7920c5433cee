package adapter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"iris/config/sys"
)

const (
	leaveWait = 3 * time.Second // for a program whose input has ended
	termWait  = time.Second     // for one that has got SIGTERM
	drainWait = time.Second     // for the last output of one that is gone
)

// program is a running program with its connection.
type program struct {
	*conn
	name string
	cmd  *exec.Cmd
	in   *os.File // its input, and what comes out of it
	out  *os.File
	said *tail
	gone chan struct{} // closed when its process has ended
	wg   sync.WaitGroup
}

// start starts a program, whose stderr goes to stderr. Then the caller sets heard and asked
// of the connection and calls attend. On Linux the program is killed when the thread of the
// caller ends.
func start(argv []string, named bool, stderr io.Writer) (*program, error) {
	p := &program{name: filepath.Base(argv[0]), said: &tail{to: stderr}, gone: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	if p.cmd.Err != nil {
		return nil, fmt.Errorf("program %q is not on the agents' PATH (%s)", argv[0], os.Getenv("PATH"))
	}
	in, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r, out, err := os.Pipe()
	if err != nil {
		w.Close()
		return nil, err
	}
	defer out.Close()
	p.in, p.out, p.conn = w, r, newConn(w, named)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, p.said
	p.cmd.SysProcAttr, p.cmd.WaitDelay = tied(), drainWait
	if err := p.cmd.Start(); err != nil {
		w.Close()
		r.Close()
		return nil, fmt.Errorf("program %s: %w", argv[0], sys.Cause(err))
	}
	return p, nil
}

// attend begins to read and to write.
func (p *program) attend() {
	p.wg.Go(p.write)
	p.wg.Go(func() {
		p.cmd.Wait()
		p.out.SetReadDeadline(time.Now().Add(drainWait)) // one of its tools may hold it open
		close(p.gone)
	})
	p.wg.Go(p.follow)
}

// follow reads the output to its end, and then ends the connection.
func (p *program) follow() {
	why := p.read(p.out)
	p.out.Close()
	if why == nil && !p.within(drainWait) {
		why = errors.New("closed its output")
	}
	if why != nil {
		p.kill()
		<-p.gone
		p.end(fmt.Errorf("%s %w", p.name, why))
	} else {
		p.end(fmt.Errorf("%s exited (%s)%s", p.name, p.cmd.ProcessState, p.said.last()))
	}
	p.in.Close()
}

// stop ends the program: by the end of its input, SIGTERM and SIGKILL.
func (p *program) stop() {
	p.in.Close()
	if !p.within(leaveWait) {
		p.signal(syscall.SIGTERM)
		if !p.within(termWait) {
			p.kill()
		}
	}
	p.wg.Wait()
}

// within reports whether the process ends in that time.
func (p *program) within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.gone:
		return true
	case <-timer.C:
		return false
	}
}

func (p *program) kill() { p.signal(syscall.SIGKILL) }

// signal signals the program and what it has started in its process group.
func (p *program) signal(s syscall.Signal) {
	select {
	case <-p.gone: // its id may be that of another process by now
	default:
		syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// tail passes on what a program writes on stderr, and keeps the end of it.
type tail struct {
	to io.Writer

	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, b...)
	t.kept = t.kept[max(0, len(t.kept)-1024):]
	t.mu.Unlock()
	return t.to.Write(b)
}

// last is the last line of the program, as the rest of a sentence; empty if there is none.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.kept))
	if text = strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:]); text == "" {
		return ""
	}
	return ": " + clip(strings.ToValidUTF8(text, ""), 300)
}
