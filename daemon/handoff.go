package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"iris/daemon/approval"
	"iris/daemon/conversation"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// handoffFormat is the format of a Handoff. A program that reads another format says so
// in its trial, and the old program stays.
const handoffFormat = 1

// Handoff is the handoff from one program to the next in the same process: the descriptors,
// and the state that is not on disk. The messages are in the journal.
type Handoff struct {
	Format     int
	Generation int
	Since      time.Time
	Login      bool             // the base environment is that of the login shell
	Quit       bool             // a stop was requested meanwhile
	Ignored    []syscall.Signal // see Options
	Lock       int
	Socket     ipc.Handed
	Place      string // where the daemon was started to listen
	Prefix     string // begins the ids of agents
	Messages   int64
	Costs      int64
	OwnTurns   int64
	OwnCosts   int64
	Logged     uint64 // Seq of the last event that followEvents has seen
	Notices    []conversation.Notice
	Approvals  []approval.Handed
	Decided    []ipc.Approval // the last ones, to answer late decisions
	ToNotify   []ipc.Event    // no notify command was started for them
	Pool       pool.Handoff
	Agents     []claude.Handed

	environ []string // more variables for the environment of the next program
}

// Descriptors lists the descriptors that must stay open. A nil Handoff has none.
func (h *Handoff) Descriptors() []int {
	if h == nil {
		return nil
	}
	fds := []int{h.Lock, h.Socket.FD}
	for _, a := range h.Agents {
		fds = append(fds, a.Stdin)
	}
	return fds
}

// agent returns the agent with a process id, nil if there is none.
func (h *Handoff) agent(id string) *claude.Handed {
	for i := range h.Agents {
		if h.Agents[i].Process == id {
			return &h.Agents[i]
		}
	}
	return nil
}

// pids returns the pids of the agents, which are children of this process.
func (h *Handoff) pids() (pids []int) {
	if h == nil {
		return nil
	}
	for _, a := range h.Agents {
		pids = append(pids, a.PID)
	}
	return pids
}

// ReadHandoff reads the Handoff at a descriptor, and closes it. Without a Handoff a
// daemon starts as after a crash: the agents lose their input and exit after their turns.
func ReadHandoff(fd int) (*Handoff, error) {
	f := os.NewFile(uintptr(fd), "handoff")
	if f == nil {
		return nil, errors.New("handoff: no descriptor")
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	h := new(Handoff)
	if err := json.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	if h.Format != handoffFormat {
		return nil, fmt.Errorf("handoff of format %d, and this program reads %d", h.Format, handoffFormat)
	}
	for _, fd := range h.Descriptors() {
		if fd <= 2 {
			return nil, fmt.Errorf("handoff: descriptor %d", fd)
		}
	}
	return h, nil
}
