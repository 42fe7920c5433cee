// Package delivery is a message's whole life, from its acceptance to the record of its end.
//
//	Send, Submit, Retry ── accept ──▶ queued: on disk, its sender has the id
//	                                    │  the pool grants an agent
//	                                    ▼
//	                                   run ── begin ──▶ running: on disk, then the first byte
//	                                    │               is written to the agent
//	                                    ▼
//	                                   finish ────────▶ ended: on disk, then whoever waits
//	                                    │                      sees it (Send, Wait, Stream)
//	                                    └─ requeued            nobody knows the end, and the
//	                                                           sender wants another attempt
//
//	Recover   what an earlier daemon has left: queued messages go to the pool, running ones
//	          are settled from the spools of their agents, or go on in an adopted agent
//	hold      a conversation waits for a person: its message is unknown, or its team gone
//
// A Dispatcher owns what is queued or running, message ids, and the output that is kept for
// readers who may come back. It starts no goroutine but one in the call of a client that
// wants to hear of its place in the queue, which waits for it; turns run on goroutines of
// the pool, and AwaitTeams on one of the daemon. What is on record is the journal's: each
// step of a message asks it, under the lock of the message.
package delivery
