// Package adapter lets programs other than Claude Code serve as agents. An adapter is
// a child process of iris's own binary: it speaks Claude Code's stream-json on its
// standard streams, as package claude drives it, and the protocol of its program over
// pipes of its own.
//
//	daemon ── stream-json ──▶ iris agent acp ── JSON-RPC ──▶ opencode acp
//	   ◀── the spool ─────────┘
//
// So the spool, the turn that outlives its daemon, streams, approvals and statuses are
// the same for every agent. iris-agent(7) describes the lines.
//
//	Run (run.go)           flags, the program, then an echo.Server
//	  program (program.go) the process
//	    conn (conn.go)     JSON-RPC over its streams
//	  dialect              acp (acp.go, servers.go) or codex (codex.go)
//	  answer (turn.go)     one turn: the prompt, what comes meanwhile, the result
//	    ask (ask.go)       tool calls that wait for permission
//	  sessions (session.go) which conversation of the program is which of iris
//	  failed (failure.go)  words of a program -> status of a failed turn
//	Terminal (terminal.go) the command line of a person who goes on with a conversation
//
// A conversation of the program has an id of the program's own. The adapter keeps it in
// a file of the state directory, under the id that iris has given, before the first
// message goes to the program.
//
// Goroutines: a conn has one that reads and one that writes, a program one that waits
// for its exit; stop waits for these three. A turn has one that waits for the answer of
// the program, and Run one that notices when the program ends.
package adapter
