// Package journal is iris' durable record: every message from its acceptance to its
// end, with the agent process of each attempt, and the conversation of each
// team@session. It is one bbolt file in the state directory, with a directory of
// large bodies and results beside it. It knows nothing of agents, spools or the pool,
// and decides nothing: it keeps the changes that it is given, refuses impossible
// ones, and answers after they are on disk.
//
// # States
//
//	queued  -> running                 Dispatch, AcceptAndDispatch
//	queued  -> failed cancelled expired        End; expired also by Dispatch
//	running -> done failed cancelled unknown   End
//	running -> queued                  Requeue, with proof that the turn never began or did nothing
//	unknown -> done failed cancelled   Resolve, by evidence or by a person, who is named
//	unknown -> queued                  End with Retry, Reattempt: another attempt of the same message
//
// Every other change is a *StateError and changes nothing. The check is inside the
// transaction, so of a cancel and a dispatch at the same moment exactly one succeeds.
// Each change is kept in Message.History with its time. If a person sends a message
// again whose end is known, that is a new message with Options.RetryOf.
//
// The queue is ordered by Message.Seq, which counts acceptances and does not depend
// on a clock; a message that is queued again has its old place.
//
// # Sums and the index of states
//
// Each change of a message also changes, in its transaction, what is derived from it: the
// index of the messages in each state but done, with their counts, and the sum of what its
// conversation used in the quarter of an hour of its acceptance. A list of states, the
// recovery and the usage read these, and not all messages. Check compares them with the
// messages.
//
// # When it is on disk
//
// Each of Accept, Dispatch, AcceptAndDispatch, End, Requeue, Reattempt, Resolve,
// SetSession, RecordOwn and RecordAgentEnds returns after the fsync of its transaction. Only then may
// the caller print the id (Accept), write the first byte to the agent (Dispatch), or
// show the end to waiters and the next message of the key (End).
//
// Open starts one goroutine, the committer, and Close waits for it; nothing else is
// started. A call commits its own change if nobody is committing; otherwise it hands
// the change over and waits. The committer takes all waiting changes and commits them
// in one transaction; changes that arrive during the fsync are the next group. A
// single caller waits only for its fsync. A refused change does not affect the others
// of its group. Any goroutine may call the methods. Close may run at the same time:
// changes handed over before it are committed, later calls get ErrClosed.
//
// Reads use read transactions of at most 2,000 records, and block no writer beyond
// that; Check and Snapshot hold one throughout, and a writer that must grow the
// mapped file waits for them.
//
// # Space
//
// bbolt reuses free pages, but never makes its file smaller. It would write the list of
// them with each transaction; while it is long only Close writes it, and after a kill the
// next Open reads everything to find them. Such a file is refused if it is damaged.
// Compact copies the values to a new file in short read transactions, while changes go
// on. Each transaction meanwhile notes the keys that it changes; at the end all calls
// wait while these are copied again and the new file is renamed to the journal.
//
// # When it cannot be
//
// A failed write or fsync stops the journal: no call of that group or after it is
// acknowledged; every one gets a *StoppedError that names the file and the cause. A
// change whose error is a *StoppedError may or may not be on disk.
//
//   - Full is set if the disk was full. Nothing is lost. Keep the results in
//     memory, dispatch nothing, refuse new messages, and say so. Call Retry every
//     second or so; when it returns nil, repeat each End unchanged (the same end
//     again is no error), each Requeue and Resolve (a StateError whose From is the
//     wanted state means that it had worked), and go on. Accept may be repeated
//     with the same id. A Dispatch must not be repeated blindly: read the message;
//     if it is running with that attempt, and no byte was written, End it or
//     Requeue it.
//   - Otherwise the disk or the file has changed: an fsync failed, the file was
//     removed or replaced, or bbolt met a broken structure. After a failed fsync
//     the page cache may show data that the disk does not have, so nothing read
//     from now on proves anything, and Retry refuses. The results are also in the
//     spools: leave those, end the daemon with that error, and let the next daemon
//     read the results from them.
//
// A large body for which there is no space is refused with Full set while the journal
// itself goes on; Retry then returns nil at once.
//
// # Damage
//
// Every value has a CRC over its bucket, key and content; bodies and results have a
// length and SHA-256. A value that does not match is a *DamageError with the id of
// its message; other messages are not affected. Damage of the file's structure, of
// the counts, or of the version has no id: Open refuses the journal, or it stops.
// Damage is never repaired, removed or guessed away. Queued and Running compare what
// they found with the counts, so a lost entry is noticed. Check reads everything; run
// it in the background after a start.
//
// # Files
//
//	journal         0600, bbolt, locked by the process that has it open
//	journal.new.RANDOM
//	                a new journal or a copy until it is complete
//	bodies/         0700, made when first needed
//	bodies/ID.body.RANDOM, ID.result.RANDOM
//	                0600, above 64 KB; written and synced before the
//	                transaction that names it, removed after the one that prunes it
//
// Open removes files in bodies/ that are named like those above and that no record
// names: their transaction was lost. It touches no other files.
//
// The directory of path must exist. Its entry of the journal is synced before the
// first acknowledgement; syncing the directory's own entry in its parent is up to the
// caller.
//
// # Versions
//
// Version 1 had sessions only. In version 2 an unknown message that was sent again
// was another message; since version 3 it is another attempt. Since version 4 there are
// sums, and the index has every state but done; a record from before stays as it is until
// it changes. The ends of agents, and what was spent, are in buckets that an earlier iris does
// not read, and that its Compact leaves out. Open migrates an older journal to version 4 in one transaction. A newer
// version is refused and not touched. Another program image is tried on a copy: Snapshot to a directory of its
// own, where Open finds no bodies/.
//
// # Keys
//
// An idempotency key stands for team, session and body (for a fresh message, whose
// session is named by its id, for team and body). The same message again returns the
// recorded message and its present state; any other message is refused with
// ErrConflict. A key outlives its message: Prune removes messages and keys after
// separate times, and neither of an unfinished message.
//
// # Recovery
//
// Nothing in the file says that a daemon died; every Open does the same, in this
// order:
//
//	j, err := journal.Open(path)
//	for m, err := range j.Running()    find the end of m.Last() in its spool, once
//	                                   its process is gone:
//	        End(done...), Requeue(with proof), or End(unknown)
//	for m, err := range j.Unresolved() hold their conversations (on_unknown)
//	for m, err := range j.Queued()     submit them to the pool, in order
//
// Each step is a transaction of its own, so after a crash in the middle the next
// start goes on. Messages may be changed while the sequences are read.
package journal
