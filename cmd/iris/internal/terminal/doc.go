// Package terminal prints what commands have to show and reads what a person
// types, on a terminal or in place of one.
//
//	Table, Fields, JSON      whole values, escaped
//	Printer                  text or lines as they come, escaped on a terminal alone
//	StatusLine, Watch        a line and a page that are written over
//	Input                    lines that a person types
//	Cells, Clip, Wrap        how wide a text is
//
// Text of others (answers, names, commands) never steers a terminal: Escape says
// what is shown in place of what would. The package has no goroutine; a
// StatusLine may be used by several.
package terminal
