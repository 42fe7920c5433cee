//go:build !linux

package daemon

// parent cannot be told from a pid here.
func (d *Daemon) parent(int) string { return "" }

// insider cannot be told either: here the commands look at their own environment.
func (d *Daemon) insider(int) string { return "" }
