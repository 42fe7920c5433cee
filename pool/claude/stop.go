package claude

import (
	"os"
	"syscall"
	"time"

	"iris/pool/procs"
)

// transcriptDelay is how long after a result the agent is not killed: its transcript
// reaches the disk up to 110 ms late.
const transcriptDelay = 150 * time.Millisecond

// look is how often the tree below an ending agent is checked.
const look = 50 * time.Millisecond

// The rungs of the stop ladder.
const (
	rungAsk = iota
	rungEOF
	rungTerm
	rungKill
)

// Stop ends the process, gently first, then everything below it. It returns when all
// is gone; a running turn ends with what the agent says about it.
func (p *Process) Stop() {
	p.stopOnce.Do(func() {
		p.stopping.Store(true)
		p.input.pipe.SetWriteDeadline(time.Now().Add(p.stuck()))
		p.climb(rungAsk)
		<-p.done
		p.wg.Wait()
	})
}

// climb goes up the ladder until the process is gone, and then kills the rest of
// its tree.
func (p *Process) climb(rung int) {
	tree := procs.NewTree(p.ident.PID, procs.Latest(), p.Session())
	tree.Collect(p.ident)
	for ; rung <= rungKill && !p.stepOn(rung, tree); rung++ {
	}
	tree.Kill(p.o.ID, p.o.Reaper)
}

// stepOn does the rung's step and waits a grace for the end.
func (p *Process) stepOn(rung int, tree procs.Tree) bool {
	grace := time.Duration(-1)
	if rung < rungKill {
		grace = p.timing.grace[rung]
	}
	switch rung {
	case rungAsk:
		if _, _, err := p.ask("end_session"); err != nil {
			return p.endsIn(0, tree)
		}
	case rungEOF:
		if !p.hangUp() {
			return p.endsIn(0, tree)
		}
	case rungTerm:
		p.proc.Signal(syscall.SIGTERM)
		p.proc.Signal(syscall.SIGCONT) // if it is frozen and could not be written to
	case rungKill:
		if p.endsIn(p.unsettled(), tree) {
			return true
		}
		p.proc.Signal(os.Kill)
	}
	return p.endsIn(grace, tree)
}

// unsettled is how long the transcript of the last turn may still take.
func (p *Process) unsettled() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, transcriptDelay-time.Since(p.status.answered))
}

// endsIn waits for the end of the process, at most for d (negative: for ever), and
// watches the tree meanwhile.
func (p *Process) endsIn(d time.Duration, tree procs.Tree) bool {
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
			tree.Collect(p.ident)
		}
	}
}
