// Command iris keeps a bounded pool of warm agents behind a daemon and sends
// them messages from the shell, scripts, cron jobs and systemd units.
//
// "iris daemon" owns the agents; every other subcommand is a short-lived client of
// its Unix socket, and starts the daemon if there is none. A client runs no goroutine
// of its own: one command is one connection and mostly one call. Each command, or a
// few similar ones, has a file with this structure: newXCmd builds the command,
// xOptions.addFlags declares its flags, and runX does the work without cobra, from a
// context, the options, the arguments and the streams.
package main

import (
	"context"
	"os"
)

func main() {
	root := newRootCmd(os.Args[1:]...)
	err := root.ExecuteContext(context.Background())
	os.Exit(report(root.ErrOrStderr(), err))
}
