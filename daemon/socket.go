package daemon

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"iris/ipc"
)

// socket is the daemon's socket and its server.
type socket struct {
	server   *ipc.Server
	acceptor acceptor
	listener *ipc.Listener // while watchSocket runs, only watchSocket changes it
}

// A watch tells the daemon when its socket is removed or moved, as a cleaner of temporary
// files or a logout may do. Some changes, such as a rename of the directory, it notices only
// at a look after watchedLook. Without a watch it looks after unwatchedLook, which is less
// than a client waits for the socket of a running daemon.
const (
	watchedLook   = time.Minute
	unwatchedLook = 2 * time.Second
)

// watchSocket binds the socket again when it is removed. Meanwhile the lock in the state
// directory prevents a second daemon.
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
		if !d.socket.listener.Present() && d.rebind() { // checked after the watch is set
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

// rebind makes the socket again, and reports whether that succeeded.
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

// listen serves a listener until the acceptor is closed.
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
