package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"iris/ipc"
)

// message is one that the driver has tried to submit, and what it was told.
// notes.mu protects what changes.
type message struct {
	send ipc.Send // but for its text
	text text
	line line // whose order it is in; not of one with a key, which anybody sends

	ids   []string // that clients were given: one, if all is well
	wrong string   // an answer that was not that of this message
	stole string   // the id that another text was given under its key
}

// line is what one client, in one conversation, has submitted: each message
// after the id of the one before it had come.
type line struct {
	sender        int
	team, session string
}

// notes are what the driver knows.
type notes struct {
	mu     sync.Mutex // protects the fields below and those of the messages
	number int
	all    map[string]*message // by token
	byID   map[string]*message // by ids that clients were given
	told   map[string]string   // by id, how clients were told that it has ended
	moved  []string            // ends that changed after they were told
	recent []string            // ids
	keyed  []*message
	lines  map[line][]*message
	killed map[string]bool // agents, by the pool's id, that the driver has killed
	full   int             // refusals, with nothing accepted
	events chan string     // what clients are told, for whoever waits for a moment to kill
}

func newNotes() *notes {
	return &notes{
		all: map[string]*message{}, byID: map[string]*message{}, told: map[string]string{}, lines: map[line][]*message{},
		killed: map[string]bool{}, events: make(chan string, 64),
	}
}

// add notes a message before it is submitted.
func (n *notes) add(s ipc.Send, from int, make func(number int) text) *message {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.number++
	m := &message{text: make(n.number), line: line{from, s.Team, s.Session}}
	s.Origin = m.text.token
	m.send = s
	n.all[m.text.token] = m
	if s.Key != "" {
		n.keyed = append(n.keyed, m)
	}
	return m
}

// tell wakes whoever waits for something to happen.
func (n *notes) tell(what string) {
	select {
	case n.events <- what:
	default:
	}
}

// forget drops the events of the past.
func (n *notes) forget() {
	for {
		select {
		case <-n.events:
		default:
			return
		}
	}
}

// accepted notes that a client was given an id.
func (n *notes) accepted(m *message, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(m.ids, id) {
		return
	}
	if len(m.ids) == 0 && m.send.Key == "" && !m.send.Fresh {
		n.lines[m.line] = append(n.lines[m.line], m)
	}
	m.ids = append(m.ids, id)
	n.byID[id] = m
	if n.recent = append(n.recent, id); len(n.recent) > 60 {
		n.recent = n.recent[1:]
	}
}

// ended notes that a client was told how a message ended.
func (n *notes) ended(id, state string) {
	if !final[state] {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if before := n.told[id]; before != "" && before != state {
		n.moved = append(n.moved, fmt.Sprintf("message %s was said to be %s, and then %s", id, before, state))
	}
	n.told[id] = state
}

// answered notes what a client was told that a message has been answered.
func (n *notes) answered(m *message, got string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !m.text.fits(got) {
		m.wrong = got
	}
}

// someID returns the id of a message that was accepted not long ago.
func (n *notes) someID(r *rand.Rand) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.recent) == 0 {
		return ""
	}
	return n.recent[r.IntN(len(n.recent))]
}

// someKeyed returns a message with a key, mostly one of the last.
func (n *notes) someKeyed(r *rand.Rand) *message {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.keyed) == 0 {
		return nil
	}
	last := n.keyed[max(0, len(n.keyed)-20):]
	return last[r.IntN(len(last))]
}

// isAccepted reports whether a client has an id of the message.
func (n *notes) isAccepted(m *message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(m.ids) > 0
}

// stolen notes that a submission was accepted that had the key of m and another
// text.
func (n *notes) stolen(m *message, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m.stole = id
}

func (n *notes) refused() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.full++
}

func (n *notes) kill(process string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.killed[process] = true
}
