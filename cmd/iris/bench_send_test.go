package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"iris/pool/claude"
	"iris/pool/claude/claudetest"
)

// A real is the real Claude Code and what stands for the model behind it.
type real struct {
	program string
	stub    *claudetest.Stub
}

// newReal skips where there is no real program.
func newReal(b testing.TB) *real {
	b.Helper()
	r := &real{claudetest.Real(b), claudetest.NewStub()}
	b.Cleanup(r.stub.Close)
	return r
}

// house has a team "real" whose agents are as those of raw and alone: the same
// program, arguments, environment and directory.
func (r *real) house(b testing.TB, iris string) *house {
	h := newHouse(b, iris, "")
	h.configure(r.team(h, "real", h.mkdir("project")))
	return h
}

// team is the table of a team of that house.
func (r *real) team(h *house, name, dir string) string {
	var env []string
	for _, v := range r.stub.Env(h.dir) {
		if name, value, _ := strings.Cut(v, "="); name != "PATH" && name != "HOME" {
			env = append(env, fmt.Sprintf("env.%s = %q\n", name, value))
		}
	}
	return fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\n%s", name, dir, r.program, strings.Join(env, ""))
}

func (r *real) command(h *house, args ...string) *exec.Cmd {
	cmd := exec.Command(r.program, args...)
	cmd.Dir = h.mkdir("project")
	cmd.Env = r.stub.Env(h.dir)
	return cmd
}

// A raw is a warm agent with nothing between it and us but two pipes.
type raw struct {
	b    *testing.B
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	line []byte
}

// raw starts one and waits until it is ready.
func (r *real) raw(b *testing.B, h *house, flags ...string) *raw {
	b.Helper()
	a := &raw{b: b, cmd: r.command(h, append([]string{"-p", "--input-format=stream-json", "--output-format=stream-json",
		"--verbose", "--session-id=" + claude.NewSessionID()}, flags...)...)}
	var err error
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	a.out = bufio.NewReaderSize(out, 64<<10)
	if err := a.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.end)
	io.WriteString(a.in, `{"type":"control_request","request_id":"r","request":{"subtype":"initialize"}}`+"\n")
	a.until("control_response")
	return a
}

// end has the agent leave as it does at the end of its input.
func (a *raw) end() {
	if a.cmd.ProcessState == nil {
		a.in.Close()
		io.Copy(io.Discard, a.out)
		a.cmd.Wait()
	}
}

// until reads up to the line of that type and returns it. The type may stand anywhere
// in a line, and is escaped in a text.
func (a *raw) until(typ string) []byte {
	a.b.Helper()
	want := []byte(`"type":"` + typ + `"`)
	for {
		a.line = a.line[:0]
		for more := true; more; {
			part, err := a.out.ReadSlice('\n')
			a.line = append(a.line, part...)
			if more = err == bufio.ErrBufferFull; err != nil && !more {
				a.b.Fatalf("raw agent: %v", err)
			}
		}
		if bytes.Contains(a.line, want) {
			return a.line
		}
	}
}

// ask sends a message and returns the line with the result.
func (a *raw) ask(text string) []byte {
	a.b.Helper()
	fmt.Fprintf(a.in, `{"type":"user","message":{"role":"user","content":%q}}`+"\n", text)
	return a.until("result")
}

func answerIn(b *testing.B, line []byte) string {
	b.Helper()
	var r struct{ Result string }
	if err := json.Unmarshal(line, &r); err != nil {
		b.Fatal(err)
	}
	return r.Result
}

// BenchmarkSend compares "iris send" as a whole command, to a warm agent, with
// the same message written to a warm process over a pipe, and with "claude -p". What it
// takes more than the former is also given as a multiple of one "tmux ls".
// Before each message both agents are idle: for a tenth of a second after an
// answer Claude Code still writes its transcript.
func BenchmarkSend(b *testing.B) {
	r := newReal(b)
	h := r.house(b, buildIris(b))
	warm := r.raw(b, h)
	want := func(got string) {
		if strings.TrimSuffix(got, "\n") != "hi" {
			b.Fatalf("got %q, want hi", got)
		}
	}
	send := func() { want(h.run("send", "real", "echo:hi")) }
	ask := func() { want(answerIn(b, warm.ask("echo:hi"))) }
	print := func() { want(run(b, r.command(h, "-p", "echo:hi"))) }
	tmux := newTmux(b)
	ls := func() { silently(b, tmux("ls")) }
	for b.Loop() {
		cold := inTurns(few(10, 1), print)[0]
		t := atRest(150*time.Millisecond, few(200, 5), ask, send, ls)
		bare, sent, peer := t[0], t[1], t[2]
		p50, p95 := sent.median()-bare.median(), sent.at(0.95)-bare.at(0.95)
		publish(b, map[string]float64{
			"x-tmux-p50":      over(p50, peer.median()),
			"x-tmux-p95":      over(p95, peer.median()),
			"ms-p50-over-raw": ms(p50),
			"ms-p95-over-raw": ms(p95),
			"x-claude-p":      over(cold.median(), sent.median()),
			"ms-send":         ms(sent.median()),
			"ms-raw":          ms(bare.median()),
			"ms-claude-p":     ms(cold.median()),
		}, "p50 and p95: iris send %.1f and %.1f ms, raw warm process %.1f and %.1f ms: over it %.1f and %.1f times a tmux ls of %.1f ms; claude -p %.0f ms, %.1f times iris send",
			ms(sent.median()), ms(sent.at(0.95)), ms(bare.median()), ms(bare.at(0.95)),
			over(p50, peer.median()), over(p95, peer.median()), ms(peer.median()),
			ms(cold.median()), over(cold.median(), sent.median()))
	}
}

// BenchmarkLargeAnswer compares an answer of 8 MB through iris, as a whole command,
// with reading it from a process over a pipe: from a process that writes the pieces
// of its text too, as under iris, and from one that does not. All agents are new and
// ready each time: their conversations must not contain earlier messages.
func BenchmarkLargeAnswer(b *testing.B) {
	const size = 8 << 20
	r := newReal(b)
	h := r.house(b, buildIris(b))
	text := claudetest.Text(size)
	message := fmt.Sprintf("size:%d", size)
	round := 0
	for b.Loop() {
		var bare, pieces, sent times
		raw := func(all *times, flags ...string) {
			a := r.raw(b, h, flags...)
			var line []byte
			*all = append(*all, taking(func() { line = a.ask(message) }))
			if answerIn(b, line) != text {
				b.Fatal("the raw agent's answer is another")
			}
			a.end()
		}
		for range few(9, 1) {
			round++
			raw(&bare)
			raw(&pieces, "--include-partial-messages")
			team := fmt.Sprintf("real@n%d", round)
			h.run("wake", team)
			var got string
			sent = append(sent, taking(func() { got = h.run("send", team, message) }))
			if strings.TrimSuffix(got, "\n") != text {
				b.Fatalf("the answer of %d bytes is not what the agent said", len(got))
			}
			h.run("kill", team)
		}
		publish(b, map[string]float64{
			"x-raw":        over(sent.median(), pieces.median()),
			"x-raw-plain":  over(sent.median(), bare.median()),
			"ms-send":      ms(sent.median()),
			"ms-raw":       ms(pieces.median()),
			"ms-raw-plain": ms(bare.median()),
		}, "8 MB: iris send %.0f ms, raw warm process %.0f ms: ratio %.2f; one that writes no pieces of the text %.0f ms: %.2f",
			ms(sent.median()), ms(pieces.median()), over(sent.median(), pieces.median()), ms(bare.median()), over(sent.median(), bare.median()))
	}
}
