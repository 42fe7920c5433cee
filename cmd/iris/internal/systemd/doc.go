// Package systemd writes the user units of the daemon and queries systemd about them.
//
//	Units -> Unit.Write      iris.service and iris.socket, for "iris daemon install"
//	Unit.Ours                whether a file is unchanged
//	Enabled -> Start         for a command that finds no daemon
//	States, Lingers          for "iris doctor"
//
// It runs systemctl and has no goroutine.
package systemd
