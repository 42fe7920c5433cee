// Command iris-mcp is the MCP server of iris: it lets an agent send messages to the teams of
// iris and wait for their answers. "iris mcp" runs it. It speaks MCP on its standard input
// and output, and is a client of the daemon; it ends with its agent.
//
// It keeps no state. A message is submitted before it is waited for, so whatever ends the
// wait, the message lives on in the daemon, and its id finds the answer. Who is calling is
// known by the daemon: no tool has an argument for that.
//
//	main      the command line
//	server    the tools and their descriptions
//	send      send_message, wait_message, get_result: waiting, progress, parts of an answer
//	list      list_messages, list_teams, and the tools for agents
//	client    connections to the daemon, which it starts if there is none
//	words     errors, worded for a model
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"iris/config"
)

const usage = `The MCP server of iris: it lets an agent send messages to teams.

Usage: iris mcp

Agents of a team with mcp = true get it by themselves. For a Claude Code that you start:

  claude mcp add iris -- iris mcp

It speaks MCP on standard input and output. See iris-mcp(1): man ./man/iris-mcp.1
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 1 && (args[0] == "-h" || args[0] == "--help"):
		fmt.Fprint(stdout, usage)
		return 0
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintln(stdout, version())
		return 0
	case len(args) > 0:
		fmt.Fprintf(stderr, "iris: mcp does not take the argument %q\niris: hint: \"iris mcp --help\" explains it\n", args[0])
		return 2
	}
	paths, err := config.Resolve("")
	if err != nil {
		fmt.Fprintf(stderr, "iris: %s\n", err)
		return 2
	}
	s := &server{client: &client{paths: paths}, progress: progressEvery}
	if err := s.mcp().Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		fmt.Fprintf(stderr, "iris: mcp: %s\n", err)
		return 1
	}
	return 0
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
