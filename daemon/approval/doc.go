// Package approval holds the tool calls of agents that wait for a decision.
//
//	Asked ── pending ──▶ Decide (a person), the deadline, Withdrawn (the agent) ──▶ past
//	            │                     whoever comes first decides, once
//	            └──▶ watchers         the senders that wait for the message
//
// A Registry owns them. It starts one goroutine for each deadline; Close ends them and
// waits. mu protects the approvals and is taken before the pool's lock; it is not held
// while an agent is told.
package approval
