package daemon

import (
	"context"
	"time"

	"iris/ipc"
)

// socketInterval is how often the daemon looks whether its socket is still
// there: a cleaner of temporary files or a logout may take it away. It is less
// than a client's patience with a daemon that has the lock but no socket.
const socketInterval = 2 * time.Second

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
		if d.listener.Present() {
			continue
		}
		d.log.Warn("the socket is gone, binding it again", "socket", d.opts.Paths.Socket)
		l, err := ipc.Listen(d.opts.Paths.Socket)
		if err != nil {
			d.log.Error("socket not bound", "err", err)
			continue
		}
		d.listener.Close()
		d.listen(l)
	}
}

// listen serves one listener until the daemon's end.
func (d *Daemon) listen(l *ipc.Listener) {
	d.listener = l
	d.wg.Go(func() {
		if err := d.server.Serve(d.serving, l); err != nil && d.serving.Err() == nil {
			d.log.Error("socket not served", "err", err)
			d.quit()
		}
	})
}
