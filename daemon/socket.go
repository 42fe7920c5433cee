package daemon

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"iris/ipc"
)

// socket is where clients come in.
type socket struct {
	server   *ipc.Server
	acceptor acceptor
	listener *ipc.Listener // the one in service; while it runs watchSocket alone changes it
}

// The daemon is told when its socket is removed or moved: a cleaner of temporary
// files or a logout may take it away. What it may not be told of, such as a new
// name of the directory, it sees by itself after watchedLook; without a watch it
// looks often enough for a client's patience with a daemon that has the lock but
// no socket.
const (
	watchedLook   = time.Minute
	unwatchedLook = 2 * time.Second
)

// watchSocket ends the daemon's service under a removed socket by binding it
// anew. The lock in the state directory bars a second daemon meanwhile.
func (d *Daemon) watchSocket(ctx context.Context) {
	var events chan fsnotify.Event
	var errs chan error
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer w.Close()
		events, errs = w.Events, w.Errors
	}
	tick := time.NewTicker(unwatchedLook)
	defer tick.Stop()
	for watched := false; ; {
		if !watched && w != nil && w.Add(d.opts.Paths.Socket) == nil {
			watched = true
			tick.Reset(watchedLook)
		}
		if !d.socket.listener.Present() && d.rebind() { // looked at after it is watched
			if watched {
				w.Remove(d.opts.Paths.Socket)
			}
			watched = false
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-events:
		case <-errs:
		case <-tick.C:
		}
	}
}

// rebind makes the socket again, and reports whether it could.
func (d *Daemon) rebind() bool {
	d.log.Warn("the socket is gone, binding it again", "socket", d.opts.Paths.Socket)
	l, err := ipc.Listen(d.opts.Paths.Socket)
	if err != nil {
		d.log.Error("socket not bound", "err", err)
		return false
	}
	d.socket.listener.Close()
	d.listen(l)
	return true
}

// listen serves one listener until the acceptor is closed.
func (d *Daemon) listen(l *ipc.Listener) {
	d.socket.listener = l
	ctx := d.socket.acceptor.conns
	d.socket.acceptor.served.Go(func() {
		if err := d.socket.server.Serve(ctx, l); err != nil && ctx.Err() == nil {
			d.log.Error("socket not served", "err", err)
			d.life.quit()
		}
	})
}
