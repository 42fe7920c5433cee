// Package approval has the tool calls of agents that wait for somebody's permission.
//
//	Asked ── pending ──▶ Decide (a person), the deadline, Withdrawn (the agent) ──▶ past
//	            │                     whoever comes first decides, once
//	            ├──▶ watchers         the senders that wait for the message
//	            └──▶ notifyOf         the command of the team, approval_notify
//
// A Registry owns them. It starts one goroutine for each deadline and one for each
// command that notifies; Close ends them and waits. mu protects what is known of them and
// is taken before the pool's lock; no agent is told, and no command run, under it.
package approval
