// Package attach lets a person sit down in a conversation: its agent goes, its program
// runs in the person's terminal, and the messages of the conversation wait until it ends.
//
//	Attach ── hold ──▶ wait for the turn ──▶ the agent goes ──▶ on record ──▶ the client has
//	   │                 (or interrupt it)                          │         the program
//	   └─ refused, or the client gives up: release                  ▼
//	                                                              watch ──▶ release
//	Restore ── hold ───────────────────────────────────────────────▲
//
// The client starts the program, which is its child, and says which process that is and
// when it has ended (Report). The daemon does not depend on that: it looks whether the two
// processes live. So the conversation is released however they end; and as an attachment is
// on record with the conversation, the next daemon holds it as this one did, and a client
// need not connect again.
//
// A program whose client is gone has lost its terminal, where nobody can type: it is ended
// as by a hang-up, so that it keeps what was said.
//
// A Registry owns the attachments, under mu, and runs one goroutine for each, in
// Options.Goroutines. No call of the daemon's other parts is made under mu.
package attach
