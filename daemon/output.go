package daemon

import (
	"errors"
	"io/fs"
	"slices"
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
		m.streams = map[chan *claude.Stream]int64{}
	}
	if _, ok := m.streams[c]; ok {
		return
	}
	m.streams[c] = after
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

// open gives those who are attached the output of the turn that begins, or what
// they have not had of one that the program before this one has begun. The caller
// holds mu.
func (m *delivery) open() {
	if m.agent == nil {
		return
	}
	for c, after := range m.streams {
		if !m.begun {
			after = 0
		}
		st, err := m.agent.Stream(m.offset, after)
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
	from  *claude.Stream
	timer *time.Timer
}

// keep takes a stream over. Of two of one message it keeps the one that is
// further behind.
func (r *recent) keep(id string, st *claude.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.findLocked(id); i >= 0 {
		if r.kept[i].from.Seq() <= st.Seq() {
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

func (r *recent) findLocked(id string) int {
	return slices.IndexFunc(r.kept, func(k keptOutput) bool { return k.id == id })
}

func (r *recent) dropLocked(i int) {
	r.kept[i].timer.Stop()
	r.kept[i].from.Close()
	r.kept = slices.Delete(r.kept, i, i+1)
}

func (r *recent) drop(id string, st *claude.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.findLocked(id); i >= 0 && r.kept[i].from == st {
		r.dropLocked(i)
	}
}

// again returns a reader of what is kept of a message, nil for nothing.
func (r *recent) again(id string, after int64) (*claude.Stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.findLocked(id)
	if i < 0 {
		return nil, nil
	}
	return r.kept[i].from.Again(after)
}

// close lets go of all.
func (r *recent) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.kept) > 0 {
		r.dropLocked(0)
	}
}
