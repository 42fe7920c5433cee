// Package terminal prints the output of commands and reads the input of a person, on
// a terminal, in a pipe or in a file.
//
//	Table, Fields, JSON      whole values, escaped
//	Printer                  text or lines as they come, escaped on a terminal only
//	StatusLine, Watch        a line and a page that are overwritten
//	Done                     a line about a success that prints no data
//	Input                    lines that a person types
//	Cells, Clip, Wrap        the width of text
//
// Text of others (answers, names, commands) never steers a terminal: Escape replaces
// what would. The package has no goroutine; several goroutines may use a StatusLine.
package terminal
