package delivery

import (
	"fmt"

	"iris/config"
	"iris/config/sys"
	"iris/daemon/fault"
	"iris/ipc"
)

// checkSpace refuses a message while the disk has no space for a turn. Accepted messages
// wait for space.
func (d *Dispatcher) checkSpace() error {
	dir := d.o.Paths.State
	free, err := sys.FreeSpace(dir)
	if err != nil || free >= config.LeastFree {
		return nil // the next write there reports the error
	}
	e := fault.New(ipc.CodeFull, "disk-full", fmt.Errorf(
		"the message was not accepted: %s has %d KB free, and a turn needs %d KB", dir, free>>10, int64(config.LeastFree)>>10))
	e.Data.Hint = "make room there, or set XDG_STATE_HOME to a directory on a larger disk"
	return e
}
