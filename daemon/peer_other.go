//go:build !linux

package daemon

// parent cannot be told from a pid here.
func (d *Daemon) parent(int) string { return "" }
