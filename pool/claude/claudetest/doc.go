// Package claudetest is test equipment for everything that drives Claude Code:
// a loopback stub of the Messages API for the real program, and a scripted
// fake of the program itself.
//
// # The stub
//
// NewStub serves POST /v1/messages (streaming and not), HEAD / and
// count_tokens on a loopback port. The last text of the user steers the answer;
// what Claude Code puts around it (reminders, CLAUDE.md, system notes) is left
// out of account:
//
//	echo:TEXT            TEXT
//	slow:N:DELAY         "d0 d1 ... " in N deltas, DELAY (a Go duration) between them
//	size:BYTES           Text(BYTES)
//	tool:NAME:{json}     a call of that tool; its result is answered by "tool said: RESULT"
//	dump                 the user's texts of the conversation, as a JSON list
//	count                how many there are
//	ctx                  the context around them: system prompt, reminders, CLAUDE.md
//	status:CODE[:N[:S]]  an HTTP error; for the first N tries only; with retry-after S seconds
//	hang                 no answer until the client goes or the stub closes
//	stall                one delta, then as hang
//	cut                  one delta, then the connection is dropped
//	anything else        "ok: TEXT"
//
// The stub owns its goroutines; Close ends its requests and waits for them.
package claudetest
