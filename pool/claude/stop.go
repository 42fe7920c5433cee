package claude

import (
	"os"
	"syscall"
	"time"
)

// settle is how long after a result the agent is not killed: its transcript
// reaches the disk up to 110 ms late.
const settleTime = 150 * time.Millisecond

// look is how often the tree below an agent is looked at while it ends.
const look = 50 * time.Millisecond

// The rungs of the stop ladder.
const (
	rungAsk = iota
	rungEOF
	rungTerm
	rungKill
)

// Stop ends the process, gently first, then everything below it. It returns
// when all is gone; a turn under way ends with what the agent says of it.
func (p *Process) Stop() {
	p.stopOnce.Do(func() {
		p.stopping.Store(true)
		p.stdin.SetWriteDeadline(time.Now().Add(p.stuck()))
		p.climb(rungAsk)
		<-p.done
		p.wg.Wait()
	})
}

// climb goes up the ladder until the process is gone, and then ends what is
// left of its tree.
func (p *Process) climb(rung int) {
	left := newTree(p.ident.pid, latest(), p.Session())
	left.collect(p.ident)
	for ; rung <= rungKill && !p.stepOn(rung, left); rung++ {
	}
	left.kill(p.o.ID, p.o.Reaper)
}

// stepOn does what the rung says and waits a grace for the end.
func (p *Process) stepOn(rung int, left tree) bool {
	grace := time.Duration(-1)
	if rung < rungKill {
		grace = p.grace[rung]
	}
	switch rung {
	case rungAsk:
		if _, _, err := p.ask("end_session"); err != nil {
			return p.endsIn(0, left)
		}
	case rungEOF:
		if !p.hangUp() {
			return p.endsIn(0, left)
		}
	case rungTerm:
		p.proc.Signal(syscall.SIGTERM)
	case rungKill:
		if p.endsIn(p.unsettled(), left) {
			return true
		}
		p.proc.Signal(os.Kill)
	}
	return p.endsIn(grace, left)
}

// hangUp closes stdin. It does not when a line was cut short: the agent would
// take the rest of it for a message.
func (p *Process) hangUp() bool {
	p.in.Lock()
	defer p.in.Unlock()
	if p.torn {
		return false
	}
	p.stdin.Close()
	return true
}

// unsettled is how long the transcript of the last turn may still take.
func (p *Process) unsettled() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, settleTime-time.Since(p.answered))
}

// endsIn waits for the end of the process, at most for d (negative: for ever),
// and keeps an eye on the tree meanwhile.
func (p *Process) endsIn(d time.Duration, left tree) bool {
	var limit <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		limit = t.C
	}
	again := time.NewTicker(look)
	defer again.Stop()
	for {
		select {
		case <-p.exited:
			return true
		case <-limit:
			return false
		case <-again.C:
			left.collect(p.ident)
		}
	}
}
