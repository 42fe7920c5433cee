package claude

import (
	"bytes"
	"errors"
	"time"

	"iris/pool/procs"
)

// follow reads the spool whenever it has grown, and to its end when the process is
// gone. Then it closes done.
func (p *Process) follow() {
	for {
		select {
		case <-p.grown:
			p.reading.token <- struct{}{}
			p.drain()
			p.thawIfBusy()
			p.remember()
			<-p.reading.token
		case <-p.freezer.due():
			p.reading.token <- struct{}{}
			p.freeze()
			<-p.reading.token
		case <-p.exited:
			p.reading.token <- struct{}{}
			p.drain()
			p.last()
			p.finish()
			<-p.reading.token
			return
		}
	}
}

// remember records the processes below the agent between two turns.
func (p *Process) remember() {
	if !p.reading.turnEnded {
		return
	}
	p.reading.turnEnded = false
	p.reading.below = procs.NewTree(p.ident.PID, procs.Latest(), p.Session())
	p.reading.below.Collect(p.ident)
}

// drain handles every complete line.
func (p *Process) drain() {
	s := sink{line: p.handle, long: p.wanted, over: p.tooLong}
	for more := true; more; {
		before, said := p.reading.lines.seen, p.reading.said
		var err error
		if more, err = p.reading.lines.read(s); err != nil {
			p.log.Error("spool not read", "err", err)
		}
		answers := p.reading.said == said && p.reading.lines.off == p.reading.lines.seen // only answers to iris: no progress
		p.advance(p.reading.lines.seen > before && !answers)
		p.boundOutput()
	}
}

// advance records how far the spool has been read.
func (p *Process) advance(news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if news {
		p.status.progress = time.Now()
	}
	p.marks.read, p.marks.scanned = p.reading.lines.off, p.reading.lines.seen
	if p.marks.changed != nil {
		close(p.marks.changed)
		p.marks.changed = nil
	}
	p.freeLocked()
	p.reserveLocked()
	for s := range p.marks.streams {
		s.wake()
	}
}

// last handles the output after the last newline: a process that is killed may leave
// a whole line there.
func (p *Process) last() {
	if rest := p.reading.lines.rest(); len(rest) > 0 {
		p.reading.lines.at, p.reading.lines.next = p.reading.lines.off, p.reading.lines.seen
		p.handle(rest)
	}
	if r := p.reading.notes.last(); r != nil {
		p.end(r, false)
	}
}

// finish ends everything that waits for the process and closes done. If the agent
// ended by itself, it also kills the processes that were below it after its last turn
// and those that it has started since.
func (p *Process) finish() {
	p.reading.unfollow()
	if !p.stopping.Load() {
		p.reading.below.Kill(p.o.ID, p.o.Reaper)
	}
	if lost := p.reading.notes.background(true); len(lost) > 0 && p.o.OnLost != nil {
		p.o.OnLost(lost)
	}
	p.lastOfTranscript()
	p.mu.Lock()
	p.status.gone = true
	keep := p.current.resultPending
	p.mu.Unlock()
	p.withdrawAll()
	p.input.mu.Lock()
	p.input.pipe.Close()
	p.input.mu.Unlock()
	if p.calls.begins() {
		p.firstOutput = p.spool.early()
	}
	p.spool.out.Close()
	p.lastStderr = lastWords(p.spool.stderr(4096))
	forgetProcess(p.spool.config(), p.ident)
	if !keep {
		p.spool.remove()
	}
	close(p.done)
}

// handle handles one line.
func (p *Process) handle(line []byte) {
	if len(line) == 0 {
		return
	}
	typ, subtype, ok := route(line)
	if !ok {
		p.log.Debug("line is no message", "bytes", len(line))
		if p.calls.begins() && bytes.Contains(line, []byte(`"control_response"`)) {
			p.calls.spoil()
		}
		return
	}
	if typ != "control_response" {
		p.reading.said++
	}
	p.expect()
	p.reading.notes.denied(p.takeDenied())
	f := p.reading.notes.note(typ, subtype, line, p.reading.lines.at, p.stopping.Load())
	switch typ {
	case "system":
		if subtype == "session_writes_lost" {
			p.noteLost(line)
		}
	case "control_response":
		p.calls.answer(line)
	case "control_request":
		p.requested(line)
	case "control_cancel_request":
		p.cancelled(line)
	}
	p.apply(&f)
}

// expect tells the notes to await the message of the running turn.
func (p *Process) expect() {
	p.mu.Lock()
	t := p.current.open()
	begins := t != nil && t.uuid != p.current.expected
	if begins {
		p.current.expected = t.uuid
	}
	p.mu.Unlock()
	if begins {
		p.reading.notes.expect(t.uuid, t.noWait)
	}
}

// wanted reports whether a very long line must be loaded because it is acted on. A
// line without its type at its head may be a result.
func (p *Process) wanted(head, tail []byte, length int64) bool {
	typ, _, _ := route(head)
	if typ != "control_response" {
		p.reading.said++
	}
	switch typ {
	case "user", "assistant":
		p.expect()
		p.reading.notes.long(typ, head, tail, p.reading.lines.at, length)
	case "", "result", "control_response", "control_request", "system":
		return true
	}
	return false
}

// tooLong handles a line over the limit. Only a result matters.
func (p *Process) tooLong(head, tail []byte, length int64) {
	p.log.Warn("line over the limit skipped", "bytes", length, "limit", p.reading.lines.max)
	if !isResult(head, tail) {
		return
	}
	p.expect()
	f := found{result: true}
	p.reading.notes.tooLong(p.reading.lines.max, &f)
	p.apply(&f)
}

var errGone = errors.New("the agent is gone")
