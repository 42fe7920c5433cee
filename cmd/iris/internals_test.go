package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"iris/pool/claude"
)

const internalsText = `How iris drives Claude Code, what it promises in full, and how it is built, tested
and measured. iris-protocol(7) is about the daemon's own protocol.

Each agent is a process of "claude -p" with stream-json on its standard input and
output. Standard input is a pipe of the daemon's; standard output is a file, the
spool, so that a turn outlives the daemon. iris writes one message at a time.

iris is tried with Claude Code 2.1.332, and with 2.1.197 as the oldest that it
promises to work with. iris asks a version for its abilities and never derives
them from its number.`

const whoseText = `Claude Code begins turns by itself: its scheduler does (CronCreate, /loop,
ScheduleWakeup), work in the background that has ended, and messages from other
sessions of Claude Code. The result of such a turn is never the answer to a message. A message
has its answer when the agent names the message by its uuid: in command_lifecycle
lines, in user_message_uuids of the result, or, where the program is too old for
both, in the replay of the message.

While subagents work for a message in the background, the agent is busy and the
message goes on; each of them reports in a turn that belongs to the message. With
--no-background-wait the message ends with the first answer.

Turns that nobody sent are shown by "iris ps" and "iris events", and priced on
their own by "iris usage".`

const endingsText = `The first row that fits the result of a turn says how the turn has ended, and with
it the exit status of the command that waits. is_error decides, never the
subtype: Claude Code reports errors of the API as "success". The text of an answer
is the text of the model, also where a turn did not end well; a text of the
program itself goes to standard error.`

// internalsPage is iris-internals(7).
func internalsPage(t *testing.T) []byte {
	t.Helper()
	p := &page{}
	p.head("iris-internals", "7", "how iris drives Claude Code, and its promises in full")
	p.section("DESCRIPTION")
	p.text(internalsText)
	p.section("WHOSE TURN IT IS")
	p.text(whoseText)
	p.section("HOW A TURN ENDS")
	p.text(endingsText)
	for _, e := range claude.Endings() {
		p.item(e.Name, fmt.Sprintf("%s. Outcome %s, exit status %d.", e.When, e.Outcome, outcomeStatus(string(e.Outcome))))
	}
	p.text(testText(t, "internals.txt"))
	p.section("SEE ALSO")
	p.line("%s", roff("iris(1), iris-send(1), iris-daemon(1), iris-recipes(7), iris-protocol(7)"))
	return p.Bytes()
}

// testText is the plain text of a page, or of a part of it.
func testText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// agentPage is iris-agent(7).
func agentPage(t *testing.T) []byte {
	t.Helper()
	p := &page{}
	p.head("iris-agent", "7", "agents other than Claude Code, and what an agent must speak")
	p.section("DESCRIPTION")
	p.text(testText(t, "agent.txt"))
	p.section("SEE ALSO")
	p.line("%s", roff("iris(1), iris-agent(1), iris-agent-check(1), iris-config(5), iris-internals(7)"))
	return p.Bytes()
}

// recipesPage is iris-recipes(7).
func recipesPage(t *testing.T) []byte {
	t.Helper()
	p := &page{paste: true}
	p.head("iris-recipes", "7", "iris in scripts, cron jobs and systemd units")
	p.section("DESCRIPTION")
	p.text(testText(t, "recipes.txt"))
	p.section("SEE ALSO")
	p.line("%s", roff("iris(1), iris-send(1), iris-approvals(1), iris-daemon-install(1), iris-config(5)"))
	return p.Bytes()
}

// mcpPage is iris-mcp(1). The program has no commands to make it from; its own tests compare
// its tools with the page.
func mcpPage(t *testing.T) []byte {
	t.Helper()
	p := &page{}
	p.head("iris-mcp", "1", "let agents send messages to teams")
	p.section("SYNOPSIS")
	p.line(".B iris mcp")
	p.section("DESCRIPTION")
	p.text(testText(t, "mcp.txt"))
	p.section("SEE ALSO")
	p.line("%s", roff("iris(1), iris-send(1), iris-team-add(1), iris-config(5)"))
	return p.Bytes()
}
