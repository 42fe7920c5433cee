// Package fault turns errors of the daemon into the errors that cross the wire: a
// code, which is the exit status of the command, a reason for programs, and a hint.
//
//	error of the pool, of an agent or of the configuration
//	    -> Of, Team            which code, word and hint that is
//	    -> *ipc.Error          whose code is the exit status
//
// Every code that a command may end with is chosen here, or passed to New by the code
// that detects the error. The package owns nothing and has no goroutine.
package fault
