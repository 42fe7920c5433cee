package daemon

import (
	"context"
	"os"
	"time"

	"iris/ipc"
)

// socketInterval is how often the daemon looks whether its socket is still
// there: a cleaner of temporary files or a logout may take it away.
const socketInterval = 30 * time.Second

// watchSocket ends the daemon's service under a removed socket by binding it
// anew. The lock in the state directory bars a second daemon meanwhile.
func (d *Daemon) watchSocket(ctx context.Context) {
	tick := time.NewTicker(socketInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Lstat(d.opts.Paths.Socket); !os.IsNotExist(err) {
			continue
		}
		d.log.Warn("the socket is gone, binding it again", "socket", d.opts.Paths.Socket)
		l, err := ipc.Listen(d.opts.Paths.Socket)
		if err != nil {
			d.log.Error("socket not bound", "err", err)
			continue
		}
		d.atEnd(func() { l.Close() })
		d.wg.Go(func() { d.server.Serve(d.serving, l) })
	}
}
