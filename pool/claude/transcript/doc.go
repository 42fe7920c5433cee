// Package transcript reads the transcripts of Claude Code.
//
//	Reader -> Parse -> Part.Takes -> Record.Entries    the records to show, of a file that grows
//	FindRewind                                         where a conversation continues without its last turns
//
// Claude Code owns the files; nothing here writes. The package has no goroutine.
package transcript
