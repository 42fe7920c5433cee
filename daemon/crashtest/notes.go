package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"iris/ipc"
)

// message is one that the driver has tried to submit, and what it was told.
// notes.mu protects what changes.
type message struct {
	send ipc.Send // but for its text
	text text

	submitted int // notes.clock just before the first try
	accepted  int // notes.clock when a client first had its id; 0 before

	ids   []string // that clients were given: one, if all is well
	wrong string   // an answer that was not that of this message
	stole string   // the id that another text was given under its key
}

// params is the message as it is submitted.
func (m *message) params() ipc.Send {
	p := m.send
	if m.text.file {
		p.Content = m.text.content()
	} else {
		p.Text = m.text.String()
	}
	return p
}

// notes are what the driver knows.
type notes struct {
	mu     sync.Mutex // protects the fields below and those of the messages
	number int
	clock  int                 // counts submissions and acceptances
	all    map[string]*message // by token
	byID   map[string]*message // by ids that clients were given
	told   map[string][]string // by id, the ends that clients were told
	recent []string            // ids
	keyed  []*message
	killed map[string]string // agents, by the pool's id, whose turn may have lost its end by what the driver did; the team of each
	people
	full   int         // refusals, with nothing accepted
	stops  int         // agents that were stopped by a command, or will be after their turn
	events chan string // what clients are told, for whoever waits for a moment to kill
}

// people is what persons have asked for, noted before they ask. The mutex of the notes
// protects it.
type people struct {
	retries  map[string]string      // by the request, the id of the message to send again
	resolved map[string]bool        // id and end of messages to resolve
	opens    map[string][]time.Time // of accounts that were limited
}

func newNotes() *notes {
	return &notes{
		all: map[string]*message{}, byID: map[string]*message{}, told: map[string][]string{}, killed: map[string]string{},
		people: people{retries: map[string]string{}, resolved: map[string]bool{}, opens: map[string][]time.Time{}}, events: make(chan string, 64),
	}
}

// add notes a message before it is submitted.
func (n *notes) add(s ipc.Send, make func(number int) text) *message {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.number++
	n.clock++
	m := &message{text: make(n.number), submitted: n.clock}
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
	if n.clock++; m.accepted == 0 {
		m.accepted = n.clock
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
	if !slices.Contains(n.told[id], state) {
		n.told[id] = append(n.told[id], state)
	}
}

// answered notes what a client was told that a message has been answered. One that a
// person says is done has no answer.
func (n *notes) answered(m *message, id, got string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !m.text.fits(got) && (got != "" || !n.resolved[id+" done"]) {
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

func (n *notes) stop(agents int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stops += agents
}

func (n *notes) refused() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.full++
}

func (n *notes) kill(process, team string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.killed[process] = team
}

// retry notes that a person asks for another attempt of a message.
func (n *notes) retry(id, request string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.retries[request] = id
}

// resolve notes that a person says how a message ended.
func (n *notes) resolve(id, state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resolved[id+" "+state] = true
}

// open notes that a person opens an account.
func (n *notes) open(account string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opens[account] = append(n.opens[account], time.Now())
}

// message returns the one of an id that a client was given, nil for none.
func (n *notes) message(id string) *message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byID[id]
}
