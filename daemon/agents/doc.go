// Package agents starts the agents of the teams, identifies them, and watches orphans.
//
//	pool ── Start ──▶ options, environment, conversation ──▶ claude.Start
//	                                        │
//	replacement ── Adopt, Restore ──────────┤ an agent that the program before this one started
//	                                        ▼
//	                          a live agent, which reports
//	                            ├─ Asked, Withdrawn     tool calls that wait for permission
//	                            ├─ Waits                why a turn does not begin
//	                            └─ OwnTurn, works       turns that nobody sent
//
//	recovery ── FindOrphans, WatchOrphan ──▶ an orphan: no other agent gets its conversation
//	                                   until it is gone; Settle (of the message) when its
//	                                   turn is over
//
//	Environment   from a profile or the daemon itself, with the variables of a team
//	profile       what the login shell answers: asked at the start of the daemon, after a
//	              failure at the next start of an agent, and by Refresh
//	Examine       whether the programs of the teams are there and logged in
//	KeepGone      records the agents that are gone, and why, beside everything else
//	AwaitOrphans  waits for the orphans when no other daemon follows
//	CheckCaller   whether a command was started by an agent
//
// A Supervisor owns the reaper, the follower and the environment; Close ends them. It runs
// one goroutine for each orphan and for each run of the login shell, all in Options.Goroutines; its
// owner runs KeepGone. It
// reaches messages and approvals through functions in its Options: this package does not
// import delivery or approval.
package agents
