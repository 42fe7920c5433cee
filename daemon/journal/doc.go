// Package journal is iris' durable record: every message from its acceptance to
// its end, with the agent process of each attempt, and which conversation each
// team@session has. It is one bbolt file in the state directory, with a
// directory of large bodies and results beside it. It knows nothing of agents,
// spools or the pool, and decides nothing: it keeps what it is told, refuses
// what cannot be, and answers after the disk has it.
//
// # States
//
//	queued  -> running                 Dispatch, AcceptAndDispatch
//	queued  -> failed cancelled expired        End; expired also by Dispatch
//	running -> done failed cancelled unknown   End
//	running -> queued                  Requeue, with proof that the turn never began
//	unknown -> done failed cancelled   Resolve, by evidence or by a person, who is named
//	unknown -> queued                  End with Retry, Reattempt: another attempt of the same message
//
// Every other change is a *StateError and changes nothing; it is decided inside
// the transaction, so of a cancel and a dispatch at the same moment exactly one
// wins. Each change is kept in Message.History with its time. A message that had
// ended otherwise and that a person sends again is a new one with Options.RetryOf.
//
// The queue is ordered by Message.Seq, which counts acceptances and never looks
// at a clock; a message that is queued again has its old place.
//
// # When it is on disk
//
// Each of Accept, Dispatch, AcceptAndDispatch, End, Requeue, Reattempt, Resolve,
// SetSession, RecordOwn returns after its transaction has been fsynced. Only
// then: print the id (Accept), write the first byte to the agent (Dispatch),
// let waiters and the next message of the key see the end (End).
//
// Open starts one goroutine, the committer, and Close waits for it; nothing
// else is started. A call that finds nobody at work commits its own change;
// the others hand theirs over and wait. The committer takes
// all that waits and commits it in one transaction; what arrives during the
// fsync is the next group. A lone caller waits for its fsync and nothing else.
// A change that is refused does not touch the others of its group. Methods may
// be called from any goroutine, Close last or at the same time: what was handed
// over before it is committed, later calls get ErrClosed.
//
// Reads use a read transaction of at most 2,000 records at a time and block no
// writer beyond that; Check and Snapshot hold one throughout, and a writer that
// must grow the mapped file waits for them.
//
// # When it cannot be
//
// A failed write or fsync stops the journal: no call of that group or after it
// is acknowledged, every one gets a *StoppedError that names the file and the
// cause. A change whose error is a *StoppedError may be on disk or not.
//
//   - Full is set when there was no room. Nothing is lost. Keep the results in
//     hand, dispatch nothing, refuse new messages, and say so. Call Retry every
//     second or so; when it returns nil, repeat each End as it was (the same end
//     again is no error), each Requeue and Resolve (a StateError from the state
//     that was wanted means that it had worked), and go on. Accept may be
//     repeated with the same id. A Dispatch must not be repeated blindly: read
//     the message; when it is running with that attempt, and no byte was
//     written, End it or Requeue it.
//   - Otherwise the disk, or the file under it, is not what it was: an fsync
//     failed, the file was removed or replaced, bbolt met a broken structure.
//     After a failed fsync the page cache shows what the disk may not have, so
//     nothing read from now on proves anything and Retry refuses. Results in
//     hand stay in the spools: leave those, end the daemon with that error, and
//     let the next one settle from them.
//
// A large body for which there is no room is refused with Full set while the
// journal itself goes on; Retry then returns nil at once.
//
// # Damage
//
// Every value carries a CRC over its bucket, key and content; bodies and results
// a length and SHA-256. A value that does not match is a *DamageError with the
// id of its message; the others are served. Damage of the file's structure, of
// the counts, or of the version is one without an id: Open refuses, or the
// journal stops. Nothing damaged is repaired, removed or guessed. Queued and
// Running compare what they found with the counts, so a lost entry is noticed.
// Check reads everything; run it in the background after a start.
//
// # Files
//
//	journal         0600, bbolt, locked by the process that has it open
//	bodies/         0700, made when first needed
//	bodies/ID.body.RANDOM, ID.result.RANDOM
//	                0600, above 64 KB; written and synced before the
//	                transaction that names it, removed after the one that prunes it
//
// Open removes files in bodies/ that are named like ours and that no record
// names: their transaction was lost. Only the names above are touched.
//
// The directory that path is in must exist. Its entry of the journal is synced
// before the first acknowledgement, its own entry in its parent is the
// caller's.
//
// # Versions
//
// Version 1 had sessions only. In version 2 an unknown message that was sent again
// was another message; since version 3 it is another attempt. Open brings an older
// journal to version 3 in one transaction.
// A newer version is refused and not touched. Another program image is tried
// on a copy: Snapshot to a directory of its own, where Open finds no bodies/.
//
// # Keys
//
// An idempotency key stands for team, session and body (for a fresh message,
// whose session is named by its id, for team and body). The same again gives
// the recorded message and its present state, anything else ErrConflict. A key
// outlives its message: Prune removes messages and keys by two times, and
// neither of an unfinished message.
//
// # Recovery
//
// Nothing in the file says that a daemon died; every Open is the same. In this
// order:
//
//	j, err := journal.Open(path)
//	for m, err := range j.Running()    settle m.Last() from its spool, once its
//	                                   process is gone:
//	        End(done...), Requeue(with proof), or End(unknown)
//	for m, err := range j.Unresolved() hold their conversations (on_unknown)
//	for m, err := range j.Queued()     hand to the pool, first come first
//
// Each step is a transaction of its own, so a crash in the middle is another
// start. The sequences may be changed while they are read.
package journal
