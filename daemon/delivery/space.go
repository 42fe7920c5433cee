package delivery

import (
	"fmt"

	"golang.org/x/sys/unix"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
)

// checkSpace refuses a message while the disk has no space for a turn. Accepted messages
// wait for space.
func (d *Dispatcher) checkSpace() error {
	dir := d.o.Paths.State
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return nil // the next write there reports the error
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	if free >= config.LeastFree {
		return nil
	}
	e := fault.New(ipc.CodeFull, "disk-full", fmt.Errorf(
		"the message was not accepted: %s has %d KB free, and a turn needs %d KB", dir, free>>10, int64(config.LeastFree)>>10))
	e.Data.Hint = "make room there, or set XDG_STATE_HOME to a directory on a larger disk"
	return e
}
