// Package fault turns errors of the daemon into the errors that cross the wire: a
// code, which is the exit status of the command, a reason for programs, and a hint.
//
//	error of the pool, of an agent or of the configuration
//	    -> Of, Team            which code, word and hint that is
//	    -> *ipc.Error          whose code is the exit status
//
// The code of every error is chosen here, or passed to New by the code that detects the
// error. A turn that ended with an answer, but badly (rate limited, denied, ...), is no
// error of the daemon: cmd/iris/exit.go has the status of its outcome. The package owns
// nothing and has no goroutine.
package fault
