// Package store is the journal, together with the handling of a full or broken disk.
//
//	Persist(f)
//	    -> f                      a change of the journal, which may be repeated
//	    -> Heed(err)              full: a goroutine waits for space; broken: OnFatal ends the daemon
//	    -> wait for space         until the journal serves again, or StopWaiting
//	    -> f once more
//	Maintain                      finds damage once, and removes what is old each day
//
// A Store owns the wait for space: one goroutine at a time, started by the first who
// finds the disk full, which Options.Go has somebody wait for. mu protects what is known
// of that wait; no call of the journal is made under it. Maintain runs on a goroutine of
// its caller.
package store
