package claude

import "strings"

// mark is the variable in an agent's environment, and in that of all it
// starts, that says whose they are. It attributes a process, it does not
// condemn it: what made itself a daemon carries it too and is left alone.
const mark = "IRIS_PROCESS"

// procID names a process for good: a number is used again, a number and a
// start time are not.
type procID struct {
	pid   int
	start uint64 // clock ticks since boot
}

// tree is what has been seen below an agent. What carries the mark and was
// started after the tree was begun belongs to it, too.
type tree struct {
	conversation string // its id is in the name of the file that a tool writes to
	procs        map[procID]bool
	sessions     map[int]bool // of its tools, which have sessions of their own, and its own
	since        procID       // the last process that is too old; its pid settles a tie of start times
}

func newTree(agent int, since procID, conversation string) tree {
	return tree{conversation: conversation, procs: map[procID]bool{}, sessions: map[int]bool{agent: true}, since: since}
}

// young reports whether p was started after the tree was begun.
func (t tree) young(p procID) bool {
	return p.start > t.since.start || p.start == t.since.start && p.pid > t.since.pid
}

// hasMark looks for the mark in an environment as /proc shows it.
func hasMark(environ []byte, id string) bool {
	want := mark + "=" + id
	for v := range strings.SplitSeq(string(environ), "\x00") {
		if v == want {
			return true
		}
	}
	return false
}
