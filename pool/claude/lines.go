package claude

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"iris/pool"
)

// turn is one message under way.
type turn struct {
	done chan struct{} // closed when result is set

	written  bool  // the agent has the whole line; protected by the process' mu
	freed    int64 // what was read of this turn is given back up to here
	reserved int64 // and there is room up to here

	mu     sync.Mutex // held while output runs: nothing is output after Send has returned
	output func([]byte)
	result *pool.Result // protected by the process' mu
}

// follow reads the spool whenever it has grown, and to its end when the
// process is gone. It closes done.
func (p *Process) follow() {
	for {
		select {
		case <-p.kick:
			p.following <- struct{}{}
			p.drain()
			p.remember()
			<-p.following
		case <-p.exited:
			p.following <- struct{}{}
			p.drain()
			p.last()
			p.finish()
			<-p.following
			return
		}
	}
}

// remember notes what runs below the agent between two turns.
func (p *Process) remember() {
	if !p.ended {
		return
	}
	p.ended = false
	p.seen = newTree(p.ident.pid, latest(), p.Session())
	p.seen.collect(p.ident)
}

// drain handles every finished line.
func (p *Process) drain() {
	s := sink{line: p.handle, long: p.wanted, over: p.tooLong}
	for more := true; more; {
		before := p.reader.seen
		var err error
		if more, err = p.reader.read(s); err != nil {
			p.log.Error("spool not read", "err", err)
		}
		p.advance(p.reader.seen > before)
	}
}

// advance notes how far the spool has been read.
func (p *Process) advance(news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if news {
		p.progress = time.Now()
	}
	p.read, p.scanned = p.reader.off, p.reader.seen
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.giveLocked()
	p.reserveLocked()
	for s := range p.streams {
		s.wake()
	}
}

// reserveLocked keeps room ahead of a turn under way: what it writes before its
// result must not take the room of that. The caller must hold p.mu.
func (p *Process) reserveLocked() {
	t := p.turn
	if t == nil || t.result != nil || p.scanned < t.reserved-reserve/2 {
		return
	}
	t.reserved = p.scanned + reserve
	if err := allocate(p.spool.out, p.scanned, reserve); err != nil {
		p.log.Warn("no room ahead of the turn", "err", err)
	}
}

// giveLocked gives back what nobody needs any more. Kept are a result that may
// not be on record, the first block of the turn under way and the last state
// line: a later daemon judges by them; and what a stream has yet to read. A hole ends
// before the newline of the last line in it: what follows is a line of its own. The
// caller must hold p.mu.
func (p *Process) giveLocked() {
	switch {
	case p.turn == nil && !p.untaken:
		if to := p.unreadLocked(min(p.read, p.stateAt)) / block * block; to-p.spool.free >= block {
			p.spool.give(to)
		}
	case p.turn != nil && p.turn.result == nil:
		if to := (p.unreadLocked(p.read) - 1) / block * block; to-p.turn.freed >= much/2 {
			punch(p.spool.out, p.turn.freed, to-p.turn.freed)
			p.turn.freed = to
		}
	}
}

// last handles what the agent wrote after its last newline: a process that is
// killed may leave a whole line there.
func (p *Process) last() {
	if rest := p.reader.rest(); len(rest) > 0 {
		p.reader.next = p.reader.seen
		p.handle(rest)
	}
}

// finish ends what waits for the process and closes done. When the agent went
// without being asked to, what was below it after its last turn goes too, and
// what it has started since.
func (p *Process) finish() {
	p.unfollow()
	if !p.stopping.Load() {
		p.seen.kill(p.o.ID, p.o.Reaper)
	}
	if lost := p.account.background(true); len(lost) > 0 && p.o.OnLost != nil {
		p.o.OnLost(lost)
	}
	p.mu.Lock()
	p.gone = true
	keep := p.untaken
	p.mu.Unlock()
	p.withdrawAll()
	p.in.Lock()
	p.stdin.Close()
	p.in.Unlock()
	p.spool.out.Close()
	p.words = lastWords(p.spool.stderr(4096))
	if !keep {
		p.spool.remove()
	}
	close(p.done)
}

// handle routes one line. The turn's watcher sees it before it has an effect.
func (p *Process) handle(line []byte) {
	if len(line) == 0 {
		return
	}
	typ, subtype, ok := route(line)
	if !ok {
		p.mu.Lock()
		p.garbage++
		p.mu.Unlock()
		p.log.Debug("line is no message", "bytes", len(line))
		return
	}
	p.output(line)
	p.account.leaves = p.stopping.Load()
	p.account.note(typ, subtype, line)
	switch typ {
	case "system":
		p.system(subtype, line)
	case "result":
		p.resulted(line)
	case "control_response":
		p.answer(line)
	case "control_request":
		p.requested(line)
	case "control_cancel_request":
		p.cancelled(line)
	}
}

// output shows a line to the watcher of the turn under way.
func (p *Process) output(line []byte) {
	p.mu.Lock()
	t := p.turn
	p.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.output != nil {
		t.output(line)
	}
}

// wanted reports whether a line of many kilobytes is worth loading: somebody
// watches, or it is acted upon.
func (p *Process) wanted(head []byte, _ int64) bool {
	typ, _, ok := route(head)
	if typ == "user" {
		p.account.note(typ, "", head)
	}
	if !ok || typ == "result" || typ == "control_response" || typ == "control_request" || typ == "system" {
		return true
	}
	p.mu.Lock()
	t := p.turn
	p.mu.Unlock()
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.output != nil
}

// tooLong is told of a line over the limit. Only an answer is missed.
func (p *Process) tooLong(head []byte, length int64) {
	typ, _, _ := route(head)
	p.log.Warn("line over the limit skipped", "type", typ, "bytes", length, "limit", p.reader.max)
	if typ != "result" {
		return
	}
	r := overLimit(p.reader.max)
	r.SessionID = p.Session()
	p.end(r)
}

// system handles the lines in which the agent speaks of itself.
func (p *Process) system(subtype string, line []byte) {
	var m struct {
		State   string `json:"state"`
		Session string `json:"session_id"`
		Mode    string `json:"permissionMode"`
	}
	if subtype != "session_state_changed" && subtype != "init" || json.Unmarshal(line, &m) != nil {
		return
	}
	if subtype == "session_state_changed" {
		p.mu.Lock()
		p.state, p.stateAt = m.State, p.reader.off
		p.mu.Unlock()
	} else {
		p.mu.Lock()
		p.mode = m.Mode
		p.mu.Unlock()
	}
	p.sessionIs(m.Session)
}

// sessionIs notes the conversation's id. After /clear it is a new one.
func (p *Process) sessionIs(id string) {
	p.mu.Lock()
	old := p.session
	if id == "" || id == old || !ValidSessionID(id) {
		p.mu.Unlock()
		return
	}
	p.session = id
	p.mu.Unlock()
	p.log.Info("session changed", "from", old, "to", id)
	p.moveSpool(id)
	if p.o.OnSession != nil {
		p.o.OnSession(id)
	}
}

func (p *Process) moveSpool(id string) {
	p.unfollow()
	if err := p.spool.rename(id); err != nil {
		p.log.Warn("spool not renamed", "err", err)
	}
	p.unfollow = p.o.Follower.add(p.spool.path(".out"), p.wake)
}

// resulted ends the turn under way, unless the line belongs to a turn that the
// agent began by itself or that an earlier process left unfinished.
func (p *Process) resulted(line []byte) {
	r, ok := parseResult(line)
	if !ok {
		p.log.Warn("result line is malformed", "bytes", len(line))
		return
	}
	p.sessionIs(r.Session)
	p.mu.Lock()
	base := p.totals
	p.totals = r.Totals
	p.answered = time.Now()
	p.mu.Unlock()
	p.closeRequests()
	if r.Origin {
		p.log.Info("agent ended a turn of its own", "cost", r.Totals.Cost-base.Cost)
		return
	}
	res := r.result(base)
	p.account.complete(res, r.IsError)
	p.end(res)
}

// end gives the turn under way its result.
func (p *Process) end(r *pool.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn == nil || p.turn.result != nil {
		return
	}
	p.ended = true
	p.endAt = p.reader.next
	for s := range p.streams {
		s.endLocked(p.endAt)
	}
	p.turn.result = r
	close(p.turn.done)
}

// answer hands a control response to whoever asked.
func (p *Process) answer(line []byte) {
	var m struct {
		Response response `json:"response"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[m.Response.ID]; c != nil {
		delete(p.calls, m.Response.ID)
		m.Response.Body = slices.Clone(m.Response.Body)
		c <- m.Response
	}
}

var errGone = errors.New("the agent is gone")
