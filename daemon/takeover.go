package daemon

import (
	"iris/ipc"
)

// takeLock takes the lock of the state directory, or goes on with the lock of the program
// before this one.
func (d *Daemon) takeLock() (*lock, error) {
	if h := d.opts.Handoff; h != nil {
		if l := inherit(h.Lock, d.opts.Paths.Lock); l != nil {
			return l, nil
		}
	}
	return acquire(d.opts.Paths.Lock)
}

// openListener makes the socket, or goes on with the socket of the program before this one,
// where clients may wait, or of the service manager.
func (d *Daemon) openListener() (*ipc.Listener, error) {
	if h := d.opts.Handoff; h != nil {
		l, err := ipc.TakeOver(h.Socket)
		if err == nil {
			return l, nil
		}
		d.log.Error("socket not taken over", "err", err)
		return d.bind()
	}
	if d.opts.Service.passedFD != 0 {
		return d.opts.Service.inherit(d.opts.Paths.Socket)
	}
	return ipc.Listen(d.opts.Paths.Socket)
}
