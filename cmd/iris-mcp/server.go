package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"iris/config"
)

// progressEvery is how often a call that waits says so: clients end a call that is silent for
// too long.
const progressEvery = 15 * time.Second

const instructions = `iris keeps agents of other projects ("teams") at hand. list_teams shows them. send_message asks a team and waits for its answer; the team sees only your message and its own conversation, so say all that it needs. A message that you no longer wait for goes on: wait_message or get_result with its id gets the answer.`

// server is the MCP server. Its fields are not changed while it runs.
type server struct {
	client   *client
	progress time.Duration
}

// mcp returns a server with all tools that this caller may use.
func (s *server) mcp() *mcp.Server {
	m := mcp.NewServer(&mcp.Implementation{Name: "iris", Version: version()}, &mcp.ServerOptions{
		Instructions: instructions,
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
	})
	add(m, s.sendMessage, &mcp.Tool{
		Name:        "send_message",
		Description: "Send a message to a team and wait for its answer. When wait is over, the state is queued or running, and wait_message goes on with the id.",
	}, changes)
	add(m, s.waitMessage, &mcp.Tool{
		Name:        "wait_message",
		Description: "Wait until messages have ended, and get their answers; with any, until the first has ended.",
	}, reads)
	add(m, s.getResult, &mcp.Tool{
		Name:        "get_result",
		Description: "Get the answer to a message that has ended, or the next part of a long answer, without waiting.",
	}, reads)
	add(m, s.listMessages, &mcp.Tool{
		Name:        "list_messages",
		Description: "List messages, the newest first: those that you have sent or that your team got.",
	}, reads)
	add(m, s.cancelMessage, &mcp.Tool{
		Name:        "cancel_message",
		Description: "Cancel a message that you have sent: it leaves the queue, or its turn is interrupted.",
	}, destroys)
	add(m, s.listTeams, &mcp.Tool{
		Name:        "list_teams",
		Description: "List the teams that you may write to: what they are for and what their agents are doing.",
	}, reads)
	add(m, s.wakeTeam, &mcp.Tool{
		Name:        "wake_team",
		Description: "Start the agent of a team, so that its next message need not wait for that. A message starts it, too.",
	}, changes)
	add(m, s.evictTeam, &mcp.Tool{
		Name:        "evict_team",
		Description: "Stop the agent of a team: at once if it is idle, else after its turn. Its conversation stays.",
	}, changes)
	if mayReset(s.client.paths) {
		add(m, s.resetSession, &mcp.Tool{
			Name:        "reset_session",
			Description: "Have a session of a team forget its conversation: its next message begins a new one.",
		}, destroys)
	}
	return m
}

// The hints that a tool gives the client about its effects.
type effect int

const (
	reads effect = iota
	changes
	destroys
)

// add adds a tool. Its errors are worded for a model.
func add[In, Out any](m *mcp.Server, do func(context.Context, *mcp.CallToolRequest, In) (Out, error), tool *mcp.Tool, e effect) {
	destructive, open := e == destroys, false
	tool.Annotations = &mcp.ToolAnnotations{ReadOnlyHint: e == reads, DestructiveHint: &destructive, OpenWorldHint: &open}
	mcp.AddTool(m, tool, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		out, err := do(ctx, req, in)
		return nil, out, explain(err)
	})
}

// mayReset reports whether the caller has the tool reset_session: an agent only if its team
// allows it. Others have a person who is asked.
func mayReset(paths config.Paths) bool {
	if os.Getenv("IRIS_PROCESS") == "" {
		return true
	}
	cfg, err := config.Load(paths)
	if err != nil {
		return false
	}
	t := cfg.Teams[os.Getenv("IRIS_TEAM")]
	return t != nil && slices.Contains(t.MCPAllow, "reset_session")
}
