package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"iris/ipc"
)

// socket is the daemon's socket and its server.
type socket struct {
	server   *ipc.Server
	acceptor acceptor
	listener *ipc.Listener          // while watchSocket runs, only watchSocket changes it
	path     atomic.Pointer[string] // of listener
	trouble  string                 // why the socket could not be made again, as last logged
}

// A watch tells the daemon when its socket is removed, as a cleaner of temporary files or a
// logout may do, and when a client touches the lock because it finds no socket: some
// changes, such as a rename of the directory, make no event. Without a watch the daemon
// looks after unwatchedLook, which is less than a client waits.
const (
	watchedLook   = time.Minute
	unwatchedLook = time.Second
)

// watchSocket makes the socket again when it is gone. Meanwhile the lock in the state
// directory prevents a second daemon.
func (d *Daemon) watchSocket(ctx context.Context) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		w = &fsnotify.Watcher{} // which has no events
	} else {
		defer w.Close()
		w.Add(d.opts.Paths.Lock)
	}
	tick := time.NewTicker(unwatchedLook)
	defer tick.Stop()
	for watched := false; ; {
		at := d.socket.listener.Path()
		if !watched && err == nil && w.Add(at) == nil {
			watched = true
			tick.Reset(watchedLook)
		}
		if !d.socket.listener.Present() { // checked after the watch is set
			if watched {
				w.Remove(at)
				watched = false
				tick.Reset(unwatchedLook)
			}
			if d.rebind() {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-w.Events:
		case <-w.Errors:
		case <-tick.C:
		}
	}
}

// rebind makes the socket again, and reports whether that succeeded.
func (d *Daemon) rebind() bool {
	l, err := d.bind()
	if err != nil {
		if d.socket.trouble != err.Error() {
			d.log.Error("the socket is gone and cannot be made again", "err", err)
		}
		d.socket.trouble = err.Error()
		return false
	}
	d.log.Warn("the socket was gone and is made again", "socket", l.Path())
	d.socket.trouble = ""
	d.socket.listener.Close()
	d.listen(l)
	return true
}

// bind makes the socket at its place, or else at its refuge in the state directory, and
// records it for clients. A daemon that has moved stays at the refuge until it is stopped. It
// tries its place twice: what removes the directory may just be at work.
func (d *Daemon) bind() (*ipc.Listener, error) {
	var errs []error
	paths := []string{d.opts.Paths.Socket, d.opts.Paths.Socket}
	if d.opts.Paths.Refuge != d.opts.Paths.Socket {
		paths = append(paths, d.opts.Paths.Refuge)
	}
	for _, path := range paths {
		l, err := ipc.Listen(path)
		if err == nil {
			if err = d.lock.record(path, d.opts.Paths.Socket); err == nil {
				return l, nil
			}
			l.Close()
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs[1:]...)
}

// listen serves a listener until the acceptor is closed.
func (d *Daemon) listen(l *ipc.Listener) {
	d.setListener(l)
	ctx := d.socket.acceptor.conns
	d.socket.acceptor.served.Go(func() {
		if err := d.socket.server.Serve(ctx, l); err != nil && ctx.Err() == nil {
			d.log.Error("socket not served", "err", err)
			d.life.quit()
		}
	})
}

func (d *Daemon) setListener(l *ipc.Listener) {
	path := l.Path()
	d.socket.listener = l
	d.socket.path.Store(&path)
}
