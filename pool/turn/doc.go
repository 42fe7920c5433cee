// Package turn holds the types that describe one turn of an agent: what a message
// asks of it (Variant), and how it ended (Result, with its Outcome, Usage and
// Denials). The pool, the driver of Claude Code, the journal and the protocol share
// them. It has no state and imports nothing of iris.
//
// The JSON names are those of the journal's records; those of a Variant are also the
// protocol's. They must not change, since old records are still read.
package turn
