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
		m.d.inflight.outputs.keep(m.new.ID, output{st, m.attempts})
	} else if !errors.Is(err, fs.ErrNotExist) {
		m.d.o.Log.Warn("output not kept", "message", m.new.ID, "err", err)
	}
}

const (
	keepOutputFor  = 10 * time.Minute
	maxKeptOutputs = 100
)

// outputCache keeps the output of turns whose reader may come back: it went before the
// end, or its daemon did. Each is kept for keepOutputFor, and maxKeptOutputs of them, also
// when the file is gone from its directory; none when the disk has no room.
type outputCache struct {
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
func (c *outputCache) keep(id string, st output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.findLocked(id); i >= 0 {
		if old := c.kept[i].from; st.attempt < old.attempt || st.attempt == old.attempt && old.Seq() <= st.Seq() {
			st.Close()
			return
		}
		c.dropLocked(i)
	}
	if len(c.kept) == maxKeptOutputs {
		c.dropLocked(0)
	}
	timer := time.AfterFunc(keepOutputFor, func() { c.drop(id, st) })
	c.kept = append(c.kept, keptOutput{id, st, timer})
}

// forget drops what is kept of a message.
func (c *outputCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.findLocked(id); i >= 0 {
		c.dropLocked(i)
	}
}

func (c *outputCache) findLocked(id string) int {
	return slices.IndexFunc(c.kept, func(k keptOutput) bool { return k.id == id })
}

func (c *outputCache) dropLocked(i int) {
	c.kept[i].timer.Stop()
	c.kept[i].from.Close()
	c.kept = slices.Delete(c.kept, i, i+1)
}

func (c *outputCache) drop(id string, st output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.findLocked(id); i >= 0 && c.kept[i].from == st {
		c.dropLocked(i)
	}
}

// reopen returns a reader of what is kept of a message, without a stream for nothing.
func (c *outputCache) reopen(id string, after int64) (output, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.findLocked(id)
	if i < 0 {
		return output{}, nil
	}
	o := c.kept[i].from
	var err error
	o.Stream, err = o.Again(o.after(after))
	return o, err
}

// close lets go of all.
func (c *outputCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.kept) > 0 {
		c.dropLocked(0)
	}
}
