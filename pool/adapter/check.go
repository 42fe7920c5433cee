package adapter

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"iris/pool/echo"
)

// checkWait is how long a program may take for one step of a check.
const checkWait = 2 * time.Minute

// Check tries whether a program can be an agent of iris, as iris-agent(7) says, and prints
// a line for each promise. It has three short turns. The error names the first promise
// that the program does not keep.
func Check(ctx context.Context, argv []string, out io.Writer) error {
	c := &check{out: out, session: echo.NewUUID()}
	if c.agent = startChecked(ctx, argv, c.session); c.agent.err != nil {
		return c.agent.err
	}
	c.ready()
	c.turn("the first turn")
	c.turn("a second turn of the same session")
	c.interrupt()
	c.leave("leaves at end_session", func() { c.request("end_session", "") })
	if c.err != nil {
		return c.err
	}
	c.session = echo.NewUUID()
	if c.agent = startChecked(ctx, argv, c.session); c.agent.err != nil {
		return c.agent.err
	}
	c.ready()
	c.orphan()
	return c.err
}

// check is a check under way. Its steps do nothing after the first failure.
type check struct {
	*agent
	out     io.Writer
	session string
	err     error
}

// report prints how a promise is kept.
func (c *check) report(promise string, err error) {
	switch {
	case c.err != nil:
	case err == nil:
		fmt.Fprintf(c.out, "ok    %s\n", promise)
	default:
		fmt.Fprintf(c.out, "FAIL  %s: %v\n", promise, err)
		c.err = fmt.Errorf("%s: %w", promise, err)
		c.kill()
	}
}

// ready has the program get ready.
func (c *check) ready() {
	c.report("answers initialize", c.answered("initialize", "success"))
	c.report("answers get_binary_version", c.answered("get_binary_version", "success"))
	c.report("refuses an unknown request", c.answered("no_such_request", "error"))
}

// answered sends a request and waits for its answer.
func (c *check) answered(subtype, want string) error {
	if c.err != nil {
		return c.err
	}
	id := echo.NewUUID()
	c.request(subtype, id)
	l, err := c.await(func(l *checkedLine) bool { return l.Response.ID == id })
	if err == nil && l.Response.Subtype != want {
		err = fmt.Errorf("the answer is %q, not %q", l.Response.Subtype, want)
	}
	return err
}

// turn has one turn from its message to idle.
func (c *check) turn(name string) {
	if c.err != nil {
		return
	}
	c.say("Answer with the one word: ready")
	c.ended(name)
}

// ended waits for the lines of a turn, in their order.
func (c *check) ended(name string) {
	l, err := c.await(func(l *checkedLine) bool { return l.Type != "control_response" })
	if err == nil && l.State != "running" {
		err = fmt.Errorf("the first line after the message is %s %s, not the state running", l.Type, l.Subtype)
	}
	c.report(name+": running comes first", err)
	l, err = c.await(func(l *checkedLine) bool { return l.Subtype == "init" || l.Type == "result" })
	if err == nil && (l.Subtype != "init" || l.Session != c.session) {
		err = fmt.Errorf("no init line with the session %s before the result", c.session)
	}
	c.report(name+": init names the session", err)
	l, err = c.await(func(l *checkedLine) bool { return l.Type == "result" || l.State == "idle" })
	switch {
	case err == nil && l.Type != "result":
		err = errors.New("idle comes before a result")
	case err == nil && (l.Error || l.Answer == ""):
		err = fmt.Errorf("it has no answer: %s", clip(l.Answer+strings.Join(l.Errors, "; "), 300))
	}
	c.report(name+": a result with the answer", err)
	_, err = c.await(func(l *checkedLine) bool { return l.State == "idle" })
	c.report(name+": idle after the result", err)
}

// interrupt interrupts a turn. The turn may be over before.
func (c *check) interrupt() {
	if c.err != nil {
		return
	}
	c.say("Count from 1 to 500 in words, each on a line of its own.")
	_, err := c.await(func(l *checkedLine) bool { return l.State == "running" })
	if err == nil {
		c.request("interrupt", echo.NewUUID())
		_, err = c.await(func(l *checkedLine) bool { return l.Type == "result" })
	}
	if err == nil {
		_, err = c.await(func(l *checkedLine) bool { return l.State == "idle" })
	}
	c.report("an interrupt ends the turn with a result, and the agent stays", err)
}

// orphan closes the input in a turn, which the program is to finish.
func (c *check) orphan() {
	if c.err != nil {
		return
	}
	c.say("Answer with the one word: ready")
	_, err := c.await(func(l *checkedLine) bool { return l.State == "running" })
	c.in.Close()
	if err == nil {
		var l *checkedLine
		if l, err = c.await(func(l *checkedLine) bool { return l.Type == "result" }); err == nil && l.Error {
			err = errors.New("the turn has failed")
		}
	}
	c.report("finishes its turn when its input ends", err)
	c.leave("leaves at the end of its input", func() {})
}

// leave has the program leave.
func (c *check) leave(promise string, how func()) {
	if c.err != nil {
		return
	}
	how()
	_, err := c.await(func(*checkedLine) bool { return false })
	if errors.Is(err, errLeft) {
		err = nil
		if syscall.Kill(-c.cmd.Process.Pid, 0) == nil {
			err = errors.New("processes of it are left")
		}
	}
	c.report(promise+", and leaves nothing behind", err)
	c.kill()
}

// checkedLine is a line of the program.
type checkedLine struct {
	Type, Subtype, State string
	Session              string `json:"session_id"`
	Answer               string `json:"result"`
	Error                bool   `json:"is_error"`
	Errors               []string
	Response             struct {
		Subtype string
		ID      string `json:"request_id"`
	}
}

// agent is a program that is checked.
type agent struct {
	cmd   *exec.Cmd
	in    *os.File
	lines chan *checkedLine // closed when the program has ended
	wg    sync.WaitGroup
	ctx   context.Context
	err   error // why it does not run
}

// startChecked starts a program with the flags that iris starts Claude Code with. They come
// before a "--" in the command line, or at its end.
func startChecked(ctx context.Context, argv []string, session string) *agent {
	flags := []string{"-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose",
		"--include-partial-messages", "--replay-user-messages", "--session-id=" + session}
	at := slices.Index(argv, "--")
	if at < 0 {
		at = len(argv)
	}
	argv = slices.Insert(slices.Clone(argv), at, flags...)
	a := &agent{cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan *checkedLine), ctx: ctx}
	a.cmd.Env = append(os.Environ(), "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1")
	a.cmd.SysProcAttr, a.cmd.Stderr = &syscall.SysProcAttr{Setpgid: true}, os.Stderr
	in, w, err := os.Pipe()
	if err != nil {
		a.err = err
		return a
	}
	defer in.Close()
	a.cmd.Stdin, a.in = in, w
	out, err := a.cmd.StdoutPipe()
	if err == nil {
		err = a.cmd.Start()
	}
	if a.err = err; err != nil {
		w.Close()
		return a
	}
	a.wg.Go(func() { a.read(out) })
	return a
}

// read reads the lines of the program until it has ended.
func (a *agent) read(out io.Reader) {
	defer close(a.lines)
	br := bufio.NewReader(out)
	for {
		line, err := echo.ReadLine(br, maxLine)
		if err != nil {
			a.cmd.Wait()
			return
		}
		l := &checkedLine{}
		if json.Unmarshal(line, l) == nil && l.Type != "" {
			a.lines <- l
		}
	}
}

// await returns the next line of which is holds; errLeft if there is none.
func (a *agent) await(is func(*checkedLine) bool) (*checkedLine, error) {
	timer := time.NewTimer(checkWait)
	defer timer.Stop()
	for {
		select {
		case l, ok := <-a.lines:
			if !ok {
				return nil, errLeft
			}
			if is(l) {
				return l, nil
			}
		case <-timer.C:
			return nil, fmt.Errorf("nothing came within %v", checkWait)
		case <-a.ctx.Done():
			return nil, context.Cause(a.ctx)
		}
	}
}

func (a *agent) request(subtype, id string) {
	a.in.Write(echo.Encode(map[string]any{"type": "control_request", "request_id": id, "request": map[string]string{"subtype": subtype}}))
}

func (a *agent) say(text string) {
	a.in.Write(echo.Encode(map[string]any{"type": "user", "uuid": echo.NewUUID(), "message": map[string]string{"role": "user", "content": text}}))
}

// kill ends what is left of the program.
func (a *agent) kill() {
	a.in.Close()
	syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL)
	for range a.lines {
	}
	a.wg.Wait()
}
