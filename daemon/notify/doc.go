// Package notify runs the notify commands of teams, once for each event that notify_on
// names.
//
//	the daemon's reader of events ── Take ──▶ waiting ──▶ run ──▶ the command ends, or is
//	                                             │                killed after a time
//	                                             └─ too many: the oldest is dropped
//
// A Notifier owns the waiting events and starts one goroutine for each command that runs.
// Close kills the commands and waits for the goroutines. Nobody waits for a command: Take
// only adds to the queue. While the Notifier is paused, it starts no command. The waiting
// events go from one program of a process to the next (HandOver); they are not on disk.
package notify
