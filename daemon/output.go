package daemon

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"iris/pool/claude"
)

// attach has the output of a message given to c when its turn begins, or now
// when it has. Whoever attaches later than that begins after a Seq.
func (m *delivery) attach(c chan *claude.Stream, after int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams == nil {
		m.streams = map[chan *claude.Stream]bool{}
	}
	if m.streams[c] {
		return
	}
	m.streams[c] = true
	if m.over {
		return
	}
	if a := m.orphan.Load(); a != nil {
		st, err := claude.OpenStream(m.d.follower, m.d.opts.Paths.Spool, a.Process, a.Offset, after)
		m.opened(c, st, err)
	} else if m.running && m.agent != nil {
		st, err := m.agent.Stream(m.offset, after)
		m.opened(c, st, err)
	}
}

// detach ends attach. What c holds is its owner's to close.
func (m *delivery) detach(c chan *claude.Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, c)
}

// open gives those who are attached the output of the turn that begins. The
// caller holds mu.
func (m *delivery) open() {
	if m.agent == nil {
		return
	}
	for c := range m.streams {
		st, err := m.agent.Stream(m.offset, 0)
		m.opened(c, st, err)
	}
}

// opened gives one of them a stream, in place of one that it has not taken.
func (m *delivery) opened(c chan *claude.Stream, st *claude.Stream, err error) {
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.d.log.Warn("output not read", "message", m.new.ID, "err", err)
		}
		return
	}
	select {
	case old := <-c:
		old.Close()
	default:
	}
	c <- st
}

// keepOutput keeps what a turn has written that an earlier daemon began.
func (m *delivery) keepOutput(st *claude.Stream, err error) {
	if err == nil {
		m.d.recent.keep(m.new.ID, st)
	} else if !errors.Is(err, fs.ErrNotExist) {
		m.d.log.Warn("output not kept", "message", m.new.ID, "err", err)
	}
}

// recentFor is how long the output of a turn is kept that began with an earlier
// daemon: its reader has yet to come back.
const recentFor = time.Minute

// recent is such output, by message.
type recent struct {
	mu   sync.Mutex
	kept map[string]*claude.Stream // nil after close
}

// keep keeps a stream of the message for a while.
func (r *recent) keep(id string, st *claude.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = map[string]*claude.Stream{}
	}
	if old := r.kept[id]; old != nil {
		old.Close()
	}
	r.kept[id] = st
	time.AfterFunc(recentFor, func() { r.drop(id, st) })
}

func (r *recent) drop(id string, st *claude.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept[id] == st {
		delete(r.kept, id)
		st.Close()
	}
}

// again returns a reader of what is kept of a message, nil for nothing.
func (r *recent) again(id string, after int64) (*claude.Stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept[id] == nil {
		return nil, nil
	}
	return r.kept[id].Again(after)
}

// close lets go of all.
func (r *recent) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, st := range r.kept {
		delete(r.kept, id)
		st.Close()
	}
}
