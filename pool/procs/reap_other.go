//go:build !linux

package procs

// NewReaper returns a reaper that only keeps the set: on this system init gets the
// orphans.
func NewReaper(children ...int) (*Reaper, error) {
	r := &Reaper{stop: make(chan struct{}), set: map[int]int{}}
	for _, pid := range children {
		r.note(pid, 1)
	}
	return r, nil
}

// Close does nothing.
func (r *Reaper) Close() {}
