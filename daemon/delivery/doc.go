// Package delivery handles messages, from acceptance to the record of the end.
//
//	Send, Submit, Retry ── accept ──▶ queued: on disk, its sender has the id
//	                                    │  the pool grants an agent
//	                                    ▼
//	                                   run ── begin ──▶ running: on disk, then the first byte
//	                                    │               is written to the agent
//	                                    ▼
//	                                   finish ────────▶ ended: on disk, then the waiting calls
//	                                    │                      see it (Send, Wait, Stream)
//	                                    └─ requeued            the end is unknown, and the sender
//	                                                           wants another attempt
//
//	Recover   takes up the messages of an earlier daemon: queued ones go to the pool, running
//	          ones are settled from the spools of their agents, or go on in an adopted agent
//	hold      stops a conversation until a person acts: a message is unknown, the team is not
//	          in the configuration, or somebody has the conversation in a terminal
//	limit     records the accounts that are limited, and puts a message whose turn hit a limit
//	          before anything was done back to the head of its queue, or ends it
//	Why       what a message waits or waited for, and why the agents of a team went: from
//	          the journal, and from the pool what is so now
//
// A Dispatcher owns the queued and running messages, the message ids, and the output that
// is kept for clients that may reconnect. Turns run on goroutines of the pool, and
// AwaitTeams on one of the daemon. The Dispatcher itself starts goroutines only for clients
// that want their position in the queue; the call waits for that goroutine. The journal
// decides: each step of a message asks it, under the lock of the message.
package delivery
