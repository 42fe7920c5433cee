// Package systemd writes the user units of the daemon and asks systemd about
// them.
//
//	Units -> Unit.Write      iris.service and iris.socket, as "iris daemon install" writes them
//	Unit.Ours                whether a file is still as it was written
//	Enabled -> Start         a command that finds no daemon has systemd start it
//	States, Lingers          what "iris doctor" says
//
// It runs systemctl and has no goroutine.
package systemd
