// Package echo is the built-in agent: it speaks Claude Code's stream-json on
// its standard streams and answers each message with the message itself, at no
// cost and without an account. With it iris can be tried, and its queues and
// limits watched, on any machine.
//
// Two messages are commands to it, for trying out what a slow or failing agent
// does:
//
//	/sleep 5s [text]   answers after the delay, with text
//	/fail [text]       fails the turn, with text as the reason
//
// Everything else, any other text that begins with a slash included, comes back
// byte for byte.
//
// Server is the protocol without the agent: lines in, turns one at a time,
// lines out. The scripted agent of the tests is built on it too, and a test
// compares both with the real program. It is not a whole Claude Code: no tools,
// no permissions, no transcript, and of the control requests only initialize,
// get_binary_version, interrupt and end_session.
//
// Run owns one goroutine, which reads the input. It ends with the input, with
// end_session or at a malformed line; when Run returns for another reason, it
// may stay in its last read until the process exits.
package echo
