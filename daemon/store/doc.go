// Package store is the journal, together with the handling of a full or broken disk.
//
//	Persist(f)
//	    -> f                      a change of the journal, which may be repeated
//	    -> Heed(err)              full: a goroutine waits for space; broken: OnFatal ends the daemon
//	    -> wait for space         until the journal serves again, or StopWaiting
//	    -> f once more
//
// A Store owns the wait for space: one goroutine at a time, started by Options.Go
// when the disk is first found full. mu protects the state of that wait; it is not
// held during calls of the journal.
package store
