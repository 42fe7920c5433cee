// Package store is the journal, together with the handling of a full or broken disk.
//
//	Persist(f)
//	    -> f                      a change of the journal, which may be repeated
//	    -> Heed(err)              full: a goroutine waits for space; broken: OnFatal ends the daemon
//	    -> wait for space         until the journal serves again, or StopWaiting
//	    -> f once more
//	Maintain                      finds damage once; each day it removes old messages and
//	                              gives their space back to the disk
//
// A Store owns the wait for space. The first caller that finds the disk full starts one
// goroutine for it with Options.Go. mu protects the state of that wait; no call of the
// journal is made under it. Maintain runs on a goroutine of its caller.
package store
