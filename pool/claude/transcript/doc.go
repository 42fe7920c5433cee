// Package transcript reads the files in which Claude Code keeps what was said in a
// conversation.
//
//	Reader -> Parse -> Part.Takes -> Record.Entries    what people want to see of a file that grows
//	FindRewind                                         where a conversation goes on without its last turns
//
// Claude Code owns the files; nothing here writes. The package has no goroutine.
package transcript
