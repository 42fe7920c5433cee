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

// output is the output of one attempt of a message. The Seq that clients see has the
// attempt in the bits from ipc.SeqBits on, so that it always grows.
type output struct {
	*claude.Stream
	attempt int // from 1
}

// seq turns a Seq of the stream into the Seq that clients see.
func (o output) seq(n int64) int64 { return int64(o.attempt-1)<<ipc.SeqBits + n }

// after turns the last Seq that a client has seen into one of the stream; 0 if it is of
// another attempt.
func (o output) after(seen int64) int64 {
	if n := seen - o.seq(0); 0 <= n && n < 1<<ipc.SeqBits {
		return n
	}
	return 0
}

// attach sends the output of the message to c when the turn begins, or now if it has begun.
// The output starts after a Seq that the client has seen.
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
	} else if m.running { // otherwise rejoin opens it
		m.openFor(c, after)
	}
}

// detach ends attach. The owner of c closes an output that is still in it.
func (m *delivery) detach(c chan output) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, c)
}

// open sends the output of the running turn to all attached channels. For a turn that the
// program before this one began, it starts where the client was. The caller holds mu.
func (m *delivery) open() {
	for c, after := range m.streams {
		m.openFor(c, after)
	}
}

func (m *delivery) openFor(c chan output, after int64) {
	st, err := m.agent.Stream(m.offset, m.uuid, output{attempt: m.attempts}.after(after))
	m.opened(c, st, err)
}

// opened sends a stream to c, in place of an older one that was not received.
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

// keepOutput keeps the output of a turn that an earlier daemon began.
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

// outputCache keeps the output of turns whose client may reconnect: the client, or an
// earlier daemon, went away before the end. It keeps at most maxKeptOutputs, each for
// keepOutputFor, even after the file was removed from its directory. When the disk is full
// it is emptied.
type outputCache struct {
	mu   sync.Mutex
	kept []keptOutput // the oldest first
}

type keptOutput struct {
	id    string // of the message
	from  output
	timer *time.Timer
}

// keep takes over a stream. Of two streams of one message it keeps the one with more left
// to read.
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

// has reports whether the output of a message is kept.
func (c *outputCache) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.findLocked(id) >= 0
}

// forget drops the output of a message.
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

// reopen returns a new reader of the kept output of a message. If none is kept, it has no
// stream.
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

// close drops all outputs.
func (c *outputCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.kept) > 0 {
		c.dropLocked(0)
	}
}
