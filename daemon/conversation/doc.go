// Package conversation keeps the session and the model of each conversation.
//
//	Find ── the session on record ──▶ its agent starts with it
//	  │         └─ lost: OrNew        a new one and a notice, or an error
//	  ├─ PinModel, RecordDefaultModel the model that it continues with
//	  ├─ Use, MoveOn, MoveTo          what its agent has said or done since
//	  ├─ Reset, Rewind, Move          requests of people
//	  └─ Prune                        each day, for directories that are gone
//
// A Registry owns the journal's sessions, and in memory the notices for the next
// answers, also of a conversation that is not kept, and the refusals of the API. mu
// protects these; no call of the journal is made under it. The Registry has no
// goroutine. A conversation of a single message is never on record.
package conversation
