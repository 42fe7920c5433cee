// Package echo is the built-in agent: it speaks Claude Code's stream-json on its
// standard streams and answers each message with the message itself, at no cost and
// without an account. With it iris, its queues and its limits can be tried on any
// machine.
//
// Two messages are commands to it, to try out slow and failing agents:
//
//	/sleep 5s [text]   answers after the delay, with text
//	/fail [text]       fails the turn, with text as the reason
//
// Every other message comes back byte for byte, even if it begins with a slash.
//
// Server implements the protocol without the agent: lines in, one turn at a time,
// lines out. The scripted agent of the tests uses it too, and a test compares both
// with the real program. It is not a complete Claude Code: it has no tools,
// permissions or transcript, and answers few control requests.
//
// Run owns one goroutine, which reads the input. It ends with the input, with
// end_session or at a malformed line; when Run returns for another reason, it
// may stay in its last read until the process exits.
package echo
