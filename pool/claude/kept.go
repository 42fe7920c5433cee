package claude

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"iris/pool/turn"
)

// Claude Code does not say that it cannot write a transcript. So each answer is checked:
// the transcript must have grown. With 2.1.197 and 2.1.332 it grows in each turn, also
// that of a command, up to 110 ms after the result. If it grew in the turn before, the
// answer is not held back: the file has until the next turn. In the first turn, and after
// one without growth, the answer waits for the file, up to keptWait. That costs nothing
// where all is well: the file of the first turn is there before its result.

// keptWait is how long an answer waits for a transcript that has not grown.
const keptWait = 2 * time.Second

// leastKept is the free space without which even a transcript that grows is not kept:
// its next record may be cut short.
const leastKept = 64 << 10

// kept watches the transcript of a process.
type kept struct {
	mu      sync.Mutex // protects the fields below; not held while waiting or looking at the disk
	session string     // of the path
	path    string     // empty until it is found
	size    int64      // when the turn began
	grows   bool       // it has grown in the last turn in which that was looked for
	due     time.Time  // since then it should have grown; zero if it has
	failed  bool       // it was reported that it does not grow
	lost    string     // what the agent said at its end about records that it has lost
}

// pathOf returns the path of the transcript of a session, empty if it is not yet found.
func (k *kept) pathOf(session string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session != session { // after /clear
		k.session, k.path, k.size, k.due = session, "", 0, time.Time{}
	}
	return k.path
}

// found records the path of the transcript of a session, empty if there is none.
func (k *kept) found(session, path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session == session {
		k.path = path
	}
}

// begins records the size at the begin of a turn.
func (k *kept) begins(size int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if size > k.size {
		k.due = time.Time{}
	}
	k.size = size
}

// grew reports whether the transcript is larger than when the turn began. If it is not, it
// is due from now on.
func (k *kept) grew(size int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if size > k.size {
		k.grows, k.failed, k.due = true, false, time.Time{}
		return true
	}
	if k.due.IsZero() {
		k.due = time.Now()
	}
	return false
}

// inTime reports whether a transcript that has grown in the turn before may still grow.
// failed says that it was reported that it does not.
func (k *kept) inTime(limit time.Duration) (inTime, failed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.grows && time.Since(k.due) < limit, k.failed
}

// fails records that it is reported that the transcript does not grow.
func (k *kept) fails() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.grows, k.failed = false, true
}

// atEnd says what the agent has lost, and whether a transcript of that size is behind.
func (k *kept) atEnd(size int64) (lost string, behind bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost, !k.due.IsZero() && size <= k.size
}

// marked is the size when the last turn began.
func (k *kept) marked() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.size
}

// transcriptNow returns the path and size of the transcript; an empty path and 0 if there
// is none.
func (p *Process) transcriptNow() (path string, size int64) {
	session := p.Session()
	if path = p.kept.pathOf(session); path == "" {
		path, _ = transcriptIn(p.spool.config(), session)
	}
	info, err := os.Stat(path)
	if err == nil {
		size = info.Size()
	} else {
		path = ""
	}
	p.kept.found(session, path)
	return path, size
}

// watchesTranscript reports whether somebody wants to know that it is not kept.
func (p *Process) watchesTranscript() bool { return p.o.OnUnkept != nil }

// markTranscript records the size of the transcript before a turn.
func (p *Process) markTranscript() {
	if !p.watchesTranscript() {
		return
	}
	_, size := p.transcriptNow()
	p.kept.begins(size)
}

// checkTranscript reports an answer of the model that is not kept.
func (p *Process) checkTranscript(ctx context.Context, r *turn.Result) {
	if !p.watchesTranscript() || r == nil || r.Turns == 0 || !r.Outcome.Answered() {
		return
	}
	wait, why := p.lookAtTranscript()
	if wait {
		why = p.awaitTranscript(ctx)
	}
	if why != "" {
		p.o.OnUnkept("this conversation is not being kept: " + why)
	}
}

// lookAtTranscript looks once. wait says that only time can tell whether the answer is
// kept; otherwise why says why it is not, empty if it is.
func (p *Process) lookAtTranscript() (wait bool, why string) {
	path, size := p.transcriptNow()
	if p.kept.grew(size) {
		return false, fullDisk(path, leastKept)
	}
	switch inTime, failed := p.kept.inTime(p.timing.kept); {
	case failed:
		return false, p.notGrown(path)
	case inTime:
		_, cause := Unkeepable(p.spool.config(), p.o.Dir, path, leastKept)
		return cause != "", ""
	}
	return true, ""
}

// awaitTranscript waits until the transcript has grown, and says why it has not;
// empty also if the process or ctx ends.
func (p *Process) awaitTranscript(ctx context.Context) string {
	limit := time.After(p.timing.kept)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		over := false
		select {
		case <-time.After(pause):
		case <-limit:
			over = true
		case <-p.done:
			return "" // lastOfTranscript looks
		case <-ctx.Done():
			return ""
		}
		if why, known := p.stillUnkept(over); known {
			return why
		}
	}
}

// stillUnkept looks again; over says that this is the last time.
func (p *Process) stillUnkept(over bool) (why string, known bool) {
	path, size := p.transcriptNow()
	switch {
	case p.kept.grew(size):
		return fullDisk(path, leastKept), true
	case over:
		p.kept.fails()
		return p.notGrown(path), true
	}
	return "", false
}

// notGrown says that a transcript is not written, and why, if that can be seen.
func (p *Process) notGrown(path string) string {
	config := p.spool.config()
	switch _, cause := Unkeepable(config, p.o.Dir, path, leastKept); {
	case cause != "":
		return cause
	case path == "":
		return "Claude Code has not written a transcript below " + config
	}
	return "Claude Code has not written the answer to " + path
}

// noteLost records the line of an agent that ends and has lost records of its
// transcript.
func (p *Process) noteLost(line []byte) {
	var m struct {
		Code string   `json:"error_code"`
		Lost []string `json:"lost"`
	}
	decode(line, &m)
	for _, what := range m.Lost {
		if what == "transcript" {
			p.kept.mu.Lock()
			p.kept.lost = m.Code
			p.kept.mu.Unlock()
		}
	}
}

// lastOfTranscript reports that the transcript does not have the end of the
// conversation. The process is gone: what it has not written now will never be there.
func (p *Process) lastOfTranscript() {
	if !p.watchesTranscript() {
		return
	}
	path, size := p.transcriptNow()
	lost, missing := p.kept.atEnd(size)
	switch {
	case lost != "":
		p.o.OnUnkept(fmt.Sprintf("parts of this conversation were not kept: its agent could not write them (%s)", lost))
	case missing:
		why := p.notGrown(path)
		p.o.OnUnkept("the end of this conversation was not kept: " + why)
	}
}
