package claude

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"iris/pool/turn"
)

// MaxSpool is how many bytes of the disk a spool may take. Tests change it.
//
// An agent must not fill the disk, however fast and long it writes. Its output is given
// back to the disk as it is read. If the output that waits to be read reaches MaxSpool,
// the agent is killed, and its message is incomplete.
var MaxSpool int64 = 1 << 30

// Nobody waits for the stderr of an agent: only its ends are kept.
const (
	errLimit = 1 << 20  // of the file, beyond which its middle is given back
	errHead  = 16 << 10 // its beginning
	errTail  = 64 << 10 // its end
)

// boundOutput kills an agent whose spool takes too much of the disk. A result that it
// has written counts all the same.
func (p *Process) boundOutput() {
	info, err := p.spool.out.Stat()
	p.mu.Lock()
	begun := p.current.begun
	p.mu.Unlock()
	if err != nil || held(info, begun) <= MaxSpool || p.flooded.Swap(true) {
		return
	}
	p.log.Error("agent killed: its output comes too fast", "limit", MaxSpool)
	p.proc.Signal(os.Kill)
}

// held is how much of the disk a spool takes since its last turn began. On some systems
// nothing before that was given back.
func held(info os.FileInfo, begun int64) int64 { return min(allocated(info), info.Size()-begun) }

// floodedEnd is the end of a turn whose agent boundOutput has killed.
func (p *Process) floodedEnd() *turn.Result {
	return &turn.Result{
		Outcome: turn.Incomplete, SessionID: p.Session(),
		Err: fmt.Sprintf("the agent was killed: more than %d MB of its output waited to be read", MaxSpool>>20),
	}
}

// trimErr keeps a very long stderr from filling the disk: it gives its middle back.
func (s *spool) trimErr() { trimErr(s.path(".err")) }

func trimErr(path string) {
	info, err := os.Stat(path)
	if err != nil || allocated(info) <= errLimit {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	end := (info.Size() - errTail) / block * block
	if punch(f, errHead, end-errHead) == nil {
		fmt.Fprintf(io.NewOffsetWriter(f, errHead), "\n[%d bytes left out]\n", end-errHead)
	}
}

// allocated is the size of the file on the disk.
func allocated(info os.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
