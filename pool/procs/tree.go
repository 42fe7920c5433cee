package procs

// ID names a process for good: a number is used again, but not with the same start
// time.
type ID struct {
	PID   int
	Start uint64 // clock ticks since boot
}

// Tree holds the processes seen below an agent. A process with the mark that started
// after the tree was begun belongs to it too.
type Tree struct {
	conversation string // its id is in the names of the files that a tool writes to
	procs        map[ID]bool
	sessions     map[int]bool // of the agent and of its tools, each of which has its own
	since        ID           // the youngest process that is too old; its pid decides between equal start times
}

// NewTree returns an empty tree below an agent. Processes started after since may
// belong to it. The id of the conversation is in the names of its tools' files.
func NewTree(agent int, since ID, conversation string) Tree {
	return Tree{conversation: conversation, procs: map[ID]bool{}, sessions: map[int]bool{agent: true}, since: since}
}

// young reports whether p started after the tree was begun.
func (t Tree) young(p ID) bool {
	return p.Start > t.since.Start || p.Start == t.since.Start && p.PID > t.since.PID
}

// TreeState is the state of a Tree for another image of this program.
type TreeState struct {
	Processes [][2]uint64 // pid and start time
	Sessions  []int
	Since     [2]uint64
}

// State returns the state of t for another image of this program.
func (t Tree) State() TreeState {
	b := TreeState{Since: [2]uint64{uint64(t.since.PID), t.since.Start}}
	for p := range t.procs {
		b.Processes = append(b.Processes, [2]uint64{uint64(p.PID), p.Start})
	}
	for s := range t.sessions {
		b.Sessions = append(b.Sessions, s)
	}
	return b
}

// RestoreTree returns the tree with that state.
func RestoreTree(b TreeState, conversation string) Tree {
	t := Tree{
		conversation: conversation, procs: map[ID]bool{}, sessions: map[int]bool{},
		since: ID{int(b.Since[0]), b.Since[1]},
	}
	for _, p := range b.Processes {
		t.procs[ID{int(p[0]), p[1]}] = true
	}
	for _, s := range b.Sessions {
		t.sessions[s] = true
	}
	return t
}
