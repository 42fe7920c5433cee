// Package conversation keeps the session and the model of each conversation.
//
//	Find ── the session on record ──▶ its agent starts with it
//	  │         └─ lost: OrNew        a new one and a notice, or an error
//	  ├─ PinModel, RecordDefaultModel the model that it continues with
//	  ├─ Use, MoveOn, MoveTo          what its agent has said or done since
//	  └─ Reset, Rewind                requests of people
//
// A Registry owns the journal's sessions, and in memory the notices for the next
// answers and the refusals of the API. It has no goroutine. A conversation of a
// single message is never on record.
package conversation
