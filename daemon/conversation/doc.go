// Package conversation knows which session and which model each conversation has.
//
//	Find ── the session on record ──▶ its agent starts with it
//	  │         └─ lost: OrNew        a new one, never without a word, or an error
//	  ├─ PinModel, RecordDefaultModel the model that it goes on with
//	  ├─ Use, MoveOn, MoveTo          what its agent has said or done since
//	  └─ Reset, Rewind                what people want of it
//
// A Registry owns the journal's sessions, and in memory the notices for the next answers and
// what the API has refused. It has no goroutine. A conversation of a single message is
// never on record.
package conversation
