package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"iris/daemon/approval"
	"iris/daemon/conversation"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// handoverFormat is the form of a Handover. An image that reads another one says
// so when it is tried, and the old image stays.
const handoverFormat = 1

// Handover is what one image of this program leaves to the next in the same
// process: descriptors, and what is known of nothing on disk. Messages are not
// in it, they are in the journal.
type Handover struct {
	Format     int
	Generation int
	Since      time.Time
	Login      bool // the base environment is that of the login shell
	Quit       bool // a stop has been asked for meanwhile
	Lock       int
	Socket     ipc.Handed
	Prefix     string // of process ids
	Messages   int64
	Costs      int64
	OwnTurns   int64
	OwnCosts   int64
	Logged     uint64 // event up to which the log has them
	Notices    []conversation.Notice
	Approvals  []approval.Handed
	Decided    []ipc.Approval // the last, for whoever comes too late
	Pool       pool.Handoff
	Agents     []claude.Handed

	environ []string // for the next image besides its own; it gets them as its environment
}

// Descriptors lists what has to stay open. A nil Handover has none.
func (h *Handover) Descriptors() []int {
	if h == nil {
		return nil
	}
	fds := []int{h.Lock, h.Socket.FD}
	for _, a := range h.Agents {
		fds = append(fds, a.Stdin)
	}
	return fds
}

// agent returns the process of that id.
func (h *Handover) agent(id string) *claude.Handed {
	for i := range h.Agents {
		if h.Agents[i].Process == id {
			return &h.Agents[i]
		}
	}
	return nil
}

// pids lists the agents that are children of this process.
func (h *Handover) pids() (pids []int) {
	if h == nil {
		return nil
	}
	for _, a := range h.Agents {
		pids = append(pids, a.PID)
	}
	return pids
}

// ReadHandover reads what the image before this one has left at a descriptor,
// and closes it. Without it a daemon starts as after a crash: the agents lose
// their input and leave after their turns.
func ReadHandover(fd int) (*Handover, error) {
	f := os.NewFile(uintptr(fd), "hand-over")
	if f == nil {
		return nil, errors.New("hand-over: no descriptor")
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	h := new(Handover)
	if err := json.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("hand-over: %w", err)
	}
	if h.Format != handoverFormat {
		return nil, fmt.Errorf("hand-over of format %d, and this is %d", h.Format, handoverFormat)
	}
	for _, fd := range h.Descriptors() {
		if fd <= 2 {
			return nil, fmt.Errorf("hand-over: descriptor %d", fd)
		}
	}
	return h, nil
}
