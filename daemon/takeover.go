package daemon

import (
	"iris/ipc"
)

// takeLock claims the state directory, or goes on with the claim of the program
// before this one.
func (d *Daemon) takeLock() (*lock, error) {
	if h := d.opts.Handover; h != nil {
		if l := inherit(h.Lock, d.opts.Paths.Lock); l != nil {
			return l, nil
		}
	}
	return acquire(d.opts.Paths.Lock)
}

// openListener makes the socket, or goes on with that of the service manager or of
// the program before this one, in which clients may wait.
func (d *Daemon) openListener() (*ipc.Listener, error) {
	if h := d.opts.Handover; h != nil && h.Socket.Path == d.opts.Paths.Socket {
		l, err := ipc.TakeOver(h.Socket)
		if err == nil {
			return l, nil
		}
		d.log.Error("socket not taken over", "err", err)
	}
	if d.opts.Service.passedFD != 0 {
		return d.opts.Service.inherit(d.opts.Paths.Socket)
	}
	return ipc.Listen(d.opts.Paths.Socket)
}
