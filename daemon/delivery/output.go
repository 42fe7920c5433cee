package delivery

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"iris/ipc"
	"iris/pool/claude"
)

// output is what one attempt of a message writes. What clients see as Seq counts the
// attempts too, in the bits from ipc.SeqBits on, so that it only grows.
type output struct {
	*claude.Stream
	attempt int // from 1
}

// seq is the Seq of something in the stream, as clients see it.
func (o output) seq(n int64) int64 { return int64(o.attempt-1)<<ipc.SeqBits + n }

// after is the Seq in the stream that a client has seen last; 0 where that was in
// another attempt.
func (o output) after(seen int64) int64 {
	if n := seen - o.seq(0); 0 <= n && n < 1<<ipc.SeqBits {
		return n
	}
	return 0
}

// attach has the output of a message given to c when its turn begins, or now
// when it has. Whoever attaches later than that begins after a Seq.
func (m *delivery) attach(c chan output, after int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams == nil {
		m.streams = map[chan output]int64{}
	}
	if _, ok := m.streams[c]; ok {
		return
	}
	m.streams[c] = after
	if m.over {
		return
	}
	if a := m.orphan.Load(); a != nil {
		seen := output{attempt: m.attempts}.after(after)
		st, err := claude.OpenStream(m.d.o.Agents.Follower, m.d.o.Paths.Spool, a.Process, a.Offset, a.UUID, seen, 0)
		m.opened(c, st, err)
	} else if m.running && m.agent != nil { // else rejoin opens it
		m.openFor(c, after)
	}
}

// detach ends attach. What c holds is its owner's to close.
func (m *delivery) detach(c chan output) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, c)
}

// open gives those who are attached the output of the turn that begins, or what
// they have not had of one that the program before this one has begun. The caller
// holds mu.
func (m *delivery) open() {
	for c, after := range m.streams {
		m.openFor(c, after)
	}
}

func (m *delivery) openFor(c chan output, after int64) {
	st, err := m.agent.Stream(m.offset, m.uuid, output{attempt: m.attempts}.after(after))
	m.opened(c, st, err)
}

// opened gives one of them a stream, in place of one that it has not taken.
func (m *delivery) opened(c chan output, st *claude.Stream, err error) {
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.d.o.Log.Warn("output not read", "message", m.new.ID, "err", err)
		}
		return
	}
	select {
	case old := <-c:
		old.Close()
	default:
	}
	c <- output{st, m.attempts}
}

// keepOutput keeps what a turn has written that an earlier daemon began.
func (m *delivery) keepOutput(st *claude.Stream, err error) {
	if err == nil {
		m.d.inflight.recent.keep(m.new.ID, output{st, m.attempts})
	} else if !errors.Is(err, fs.ErrNotExist) {
		m.d.o.Log.Warn("output not kept", "message", m.new.ID, "err", err)
	}
}

const (
	recentFor  = 10 * time.Minute
	recentMost = 100
)

// recent keeps the output of turns whose reader may come back: it went before the
// end, or its daemon did. Each is kept for recentFor, and recentMost of them, also
// when the file is gone from its directory; none when the disk has no room.
type recent struct {
	mu   sync.Mutex
	kept []keptOutput // the oldest first
}

type keptOutput struct {
	id    string // of the message
	from  output
	timer *time.Timer
}

// keep takes a stream over. Of two of one message it keeps the one that is
// further behind.
func (r *recent) keep(id string, st output) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.findLocked(id); i >= 0 {
		if old := r.kept[i].from; st.attempt < old.attempt || st.attempt == old.attempt && old.Seq() <= st.Seq() {
			st.Close()
			return
		}
		r.dropLocked(i)
	}
	if len(r.kept) == recentMost {
		r.dropLocked(0)
	}
	timer := time.AfterFunc(recentFor, func() { r.drop(id, st) })
	r.kept = append(r.kept, keptOutput{id, st, timer})
}

// forget drops what is kept of a message.
func (r *recent) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.findLocked(id); i >= 0 {
		r.dropLocked(i)
	}
}

func (r *recent) findLocked(id string) int {
	return slices.IndexFunc(r.kept, func(k keptOutput) bool { return k.id == id })
}

func (r *recent) dropLocked(i int) {
	r.kept[i].timer.Stop()
	r.kept[i].from.Close()
	r.kept = slices.Delete(r.kept, i, i+1)
}

func (r *recent) drop(id string, st output) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.findLocked(id); i >= 0 && r.kept[i].from == st {
		r.dropLocked(i)
	}
}

// again returns a reader of what is kept of a message, without a stream for nothing.
func (r *recent) again(id string, after int64) (output, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.findLocked(id)
	if i < 0 {
		return output{}, nil
	}
	o := r.kept[i].from
	var err error
	o.Stream, err = o.Again(o.after(after))
	return o, err
}

// close lets go of all.
func (r *recent) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.kept) > 0 {
		r.dropLocked(0)
	}
}
