// Package agents starts the agents of the teams, knows who they are, and watches those that
// earlier daemons have left.
//
//	pool ── Start ──▶ options, environment, conversation ──▶ claude.Start
//	                                        │
//	replacement ── Adopt, Restore ──────────┤ one that the program before this one has started
//	                                        ▼
//	                          a live agent, which tells
//	                            ├─ Asked, Withdrawn     of the tools that wait for permission
//	                            ├─ Waits                why a turn does not begin
//	                            └─ OwnTurn, works       of turns that nobody has sent
//
//	recovery ── FindOrphans, WatchOrphan ──▶ an agent of an earlier daemon: its conversation is
//	                                   barred until it has left; Settle (of the message)
//	                                   when its turn is over
//
//	Environment   the base from the login shell or the daemon itself, and what a team adds
//	Examine       whether the programs of the teams are there and logged in
//	Settle        what is left to do for the agents of a daemon that is gone
//	CheckCaller   whether a command was started by an agent
//
// A Supervisor owns the reaper, the follower and the environment; Close ends them. Its
// goroutines, one for each orphan and one for the login shell, are waited for by the
// WaitGroup that it is given. What it needs of messages and approvals it is given as
// functions: packages delivery and approval are above it or beside it.
package agents
