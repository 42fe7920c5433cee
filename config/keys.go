package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Key describes one key of the configuration.
type Key struct {
	Name    string
	Type    string   // type, for people
	Default string   // as written in TOML; empty if there is none
	Top     bool     // allowed at the top level of config.toml
	Team    bool     // allowed in a [teams.NAME] table
	Env     string   // the environment variable that overrides config.toml, empty for none
	Words   []string // the allowed words; do not change it
	Doc     string   // one or more sentences
}

// Keys returns every key in the order of the documentation. The caller owns the
// slice.
func Keys() []Key {
	out := make([]Key, len(keys))
	for i, k := range keys {
		out[i] = Key{Name: k.name, Type: k.describe(), Default: k.def, Top: k.where != team, Team: k.where != top, Env: k.env(), Words: k.choices(), Doc: k.doc}
	}
	return out
}

// key is one row of the table: a Key and the rule for its values.
type key struct {
	name  string
	kind  kind
	where scope
	def   string   // the default as TOML, "" for the zero value
	min   int64    // smallest value other than zero: number, bytes or nanoseconds
	max   int64    // largest value
	zero  string   // meaning of 0; empty if 0 is not allowed
	words []string // of kindWord and kindWords
	doc   string
}

type kind int

const (
	kindInt      kind = iota
	kindBool          // true or false
	kindWord          // one of words
	kindText          // any one line
	kindDuration      // "5m", or 0
	kindSize          // "2GiB", or 0; bytes
	kindShare         // "8GiB", or "60%", or 0
	kindPart          // 0.8
	kindUmask         // "022"
	kindCommand       // a name to be found on PATH, or an absolute file; or a list with its arguments
	kindDir           // an absolute directory
	kindFile          // an absolute file, "" for none
	kindArgs          // strings
	kindProgram       // strings: a program and its arguments, none for no program
	kindWords         // strings, each one of words
	kindNames         // names of environment variables
	kindEnv           // a table of strings
	kindBudget        // a table of dollars
)

type scope int

const (
	both scope = iota
	top
	team
)

const (
	second = int64(time.Second)
	year   = 365 * 24 * int64(time.Hour)
	mega   = 1000 * 1000
)

var keys = []key{
	{name: "max_processes", kind: kindInt, where: top, def: "10", min: 1, max: 1000,
		doc: "The number of slots: the most agents at any moment, including agents that are starting or stopping."},
	{name: "max_memory_total", kind: kindShare, where: top, def: `"75%"`, min: mega, max: 1 << 50, zero: "no limit",
		doc: "The most memory of all agents together, with their tools: a size, or a part of the memory of the machine or of the daemon's cgroup, whichever has less. An agent starts only if this and the free memory allow it. Otherwise the least recently used idle agents are stopped, or the message waits for memory; with when_full = \"fail\" it fails. The only agent may always start. If the machine is short of memory, idle agents are stopped too, the largest for its idleness first. No turn is ended for memory; see max_memory. A part has an effect only on Linux."},
	{name: "when_full", kind: kindWord, where: top, def: `"wait"`, words: []string{"wait", "fail", "evict"},
		doc: "What happens to a message when every agent is busy and no slot is free: it waits, it fails at once (exit status 75), or the oldest busy agent is evicted and its caller told so."},
	{name: "fair_wait", kind: kindDuration, where: top, def: `"30s"`, min: 1, max: year, zero: "no wait",
		doc: "After this long a waiting team takes the slot of a team that has more messages queued, between two of its turns."},
	{name: "health_check_interval", kind: kindDuration, where: top, def: `"30s"`, min: second, max: year,
		doc: "How often idle agents are asked for a sign of life and busy agents are checked for progress."},
	{name: "stop_grace", kind: kindDuration, where: top, def: `"5s"`, min: second / 100, max: 3600 * second,
		doc: "How long each step of stopping an agent may take before the next, harder step."},
	{name: "drain_timeout", kind: kindDuration, where: top, def: `"30s"`, min: 1, max: year, zero: "no wait",
		doc: "How long a daemon that stops waits for running turns."},
	{name: "leave_turns", kind: kindBool, where: top, def: "false",
		doc: "Whether turns that still run after drain_timeout are left to end by themselves. Their agents leave with them, and the next daemon has the answers. Otherwise they are interrupted."},
	{name: "orphan_timeout", kind: kindDuration, where: top, def: `"10m"`, min: second / 100, max: year,
		doc: "How long a daemon waits for an orphan that writes nothing before it stops the orphan."},
	{name: "orphan_grace", kind: kindDuration, where: top, def: `"10s"`, min: second / 100, max: year,
		doc: "How long an orphan whose turn is over, and which only its background work keeps (a dev server), may go on before it is stopped. Its answer does not wait for this, the next message of its session does."},
	{name: "retention", kind: kindDuration, where: top, def: `"840h"`, min: 3600 * second, max: year,
		doc: "How long ended messages are kept, with their texts, answers and keys. 840h are 35 days. Older ones are removed once a day; a day later if the clock was set ahead or nothing was removed for three days, since the clock may be wrong."},
	{name: "mcp_max_depth", kind: kindInt, where: top, def: "3", min: 1, max: 1000, zero: "no limit",
		doc: "How long a chain of agents may be, each of which sends the next one a message during its turn: the message of a person has the depth 0, the one that its agent sends the depth 1. It bounds what agents of teams with mcp = true send."},
	{name: "mcp_max_messages", kind: kindInt, where: top, def: "100", min: 1, max: 1000 * 1000, zero: "no limit",
		doc: "How many messages an agent of a team with mcp = true may send during one turn."},
	{name: "umask", kind: kindUmask, where: top, def: `"022"`, max: 0o777,
		doc: "The file mode creation mask of agents."},
	{name: "log_level", kind: kindWord, where: top, def: `"info"`, words: []string{"debug", "info", "warn", "error"},
		doc: "The least important records that the daemon's log keeps."},
	{name: "log_max_size", kind: kindSize, where: top, def: `"10MB"`, min: mega, max: 1000 * mega,
		doc: "The size at which the log is rotated."},
	{name: "log_max_files", kind: kindInt, where: top, def: "5", min: 1, max: 100,
		doc: "How many rotated logs are kept."},

	{name: "dir", kind: kindDir, where: team,
		doc: "The project directory: absolute, or beginning with ~/. Required."},
	{name: "description", kind: kindText, where: team,
		doc: "What the team is for, shown in lists."},
	{name: "agent", kind: kindWord, where: team, def: `"claude"`, words: []string{"claude", "acp", "codex", "echo"},
		doc: "Which agent serves the team: Claude Code, a program that speaks the Agent Client Protocol, such as OpenCode (acp), codex, or the built-in agent, which repeats each message. iris-agent(7) says what the second and the third can do."},

	{name: "account", kind: kindText, where: team,
		doc: "The account of the team, by any name. Teams with the same account wait together when a usage limit is reached. Without the key the agents' API key, token, apiKeyHelper or CLAUDE_CONFIG_DIR, base URL and provider decide (iris account)."},
	{name: "spare", kind: kindBool, where: team, def: "false",
		doc: "Whether the messages of the team run only when its account has capacity to spare: no other message of the account waits, and its limits are used less than spare_below. iris send --spare sets that for one message."},

	{name: "mcp", kind: kindBool, where: team, def: "false",
		doc: "Whether agents of the team may write to other teams by themselves: Claude Code and programs that speak the Agent Client Protocol get the MCP server iris-mcp(1), Claude Code with the permission for its tools; the permissions of other programs are those of their configuration (iris-agent(7)). codex gets none."},
	{name: "mcp_teams", kind: kindArgs, where: team,
		doc: "The teams that agents of a team with mcp = true may send messages to, by MCP or with iris send. Without the key, every team that has mcp = true itself."},
	{name: "mcp_allow", kind: kindWords, where: team, words: []string{"reset_session"},
		doc: "More tools of the MCP server for agents of the team: reset_session, which has another team's session forget its conversation."},

	{name: "command", kind: kindCommand, def: `"claude"`,
		doc: "The program of agents: a name that is looked up on the PATH of agents, or an absolute file. At the top level it is Claude Code. A team with agent = \"acp\" has its own, with its arguments, such as [\"opencode\", \"acp\"]; with agent = \"codex\" it is codex unless the team has its own."},
	{name: "args", kind: kindArgs,
		doc: "More arguments for Claude Code, each flag and each value a string of its own, or \"--flag=value\". A team's list replaces the top-level one. Flags with which no agent can work (--resume, --output-format, --bg and the like) are refused."},
	{name: "env", kind: kindEnv,
		doc: "Environment variables for agents. A team's table is added to the top-level one."},
	{name: "pass_env", kind: kindNames,
		doc: "Names of more variables that agents get from your login shell, or from the environment of a daemon that you start in the foreground; a * at the end stands for any ending. A team's list replaces the top-level one."},
	{name: "env_file", kind: kindFile,
		doc: "A file of NAME=value lines for the environment of agents. A change replaces them between two turns. It must belong to you with mode 0600. Empty for none."},
	{name: "idle_timeout", kind: kindDuration, def: `"5m"`, min: 1, max: year, zero: "never",
		doc: "An agent that has been idle for this long is stopped. The next message resumes its conversation."},
	{name: "freeze_after", kind: kindDuration, def: `"1m"`, min: second / 100, max: year, zero: "never",
		doc: "The process of an agent that has been idle for this long is suspended, as by Ctrl-Z, so that it takes no processor time. It goes on when it gets a message or is to end. Its tools and servers are not suspended; the health check does not ask it for a sign of life, and what another session sends it waits. An agent is not suspended if it has work in the background or a schedule, or if its inbound is \"accept\". The setting holds for agents that start afterwards, and only on Linux."},
	{name: "start_timeout", kind: kindDuration, def: `"60s"`, min: second / 100, max: 3600 * second,
		doc: "How long an agent may take to be ready for its first message."},
	{name: "stall_timeout", kind: kindDuration, def: `"10m"`, min: 1, max: year, zero: "never",
		doc: "A turn during which the agent has written nothing for this long counts as stalled."},
	{name: "on_stall", kind: kindWord, def: `"report"`, words: []string{"report", "interrupt"},
		doc: "What the daemon does about a stalled turn."},
	{name: "on_limit", kind: kindWord, def: `"wait"`, words: []string{"wait", "fail"},
		doc: "What happens to a message whose account has reached a usage limit before its turn begins: it waits until the reset, or it ends at once with exit status 10."},
	{name: "budget", kind: kindBudget,
		doc: "The most that turns may cost in a day and in a month, in dollars: day = 20.0 and month = 300.0, or one of them. Days and months are those of the daemon's time zone. The budget at the top level is that of all teams together, a team's own counts beside it. Before a turn begins, an amount is reserved that nine of ten recent turns of its team did not exceed (with --max-cost, that limit), so that turns side by side do not exceed the budget together; a turn that costs more than its reserve may exceed it. A turn whose cost the agent does not report costs nothing here."},
	{name: "on_budget", kind: kindWord, def: `"fail"`, words: []string{"wait", "fail"},
		doc: "What happens to a message that the budget does not allow: it ends with exit status 11, or it waits until the day or month is over. A message with a --max-cost above the whole budget fails in any case."},
	{name: "spare_below", kind: kindPart, def: "0.8",
		doc: "A spare message begins only while less than this part of each limit of its account is used, as an agent has last reported it (iris account), or until the limit is reset."},
	{name: "queue_limit", kind: kindInt, def: "1000", min: 1, max: 1000 * 1000,
		doc: "How many messages of one team may wait."},
	{name: "max_turns", kind: kindInt, def: "0", min: 1, max: 1000 * 1000, zero: "no limit",
		doc: "How many calls of the model one message may take. At the limit it ends with exit status 11, and the next message goes on from there. iris send --max-turns sets another limit for one message."},
	{name: "max_messages_per_agent", kind: kindInt, def: "0", min: 1, max: 1000 * 1000, zero: "no limit",
		doc: "An agent is replaced after this many messages; its conversation goes on. Earlier versions of iris called this max_turns."},
	{name: "max_memory", kind: kindSize, def: `"0"`, min: mega, max: 1 << 50, zero: "no limit",
		doc: "An agent whose processes together use more memory than this is replaced after its turn."},
	{name: "denied_ok", kind: kindBool, def: "false",
		doc: "Whether an answer counts as a success (exit status 0, not 9) although a tool was denied during the turn."},
	{name: "background_wait", kind: kindBool, def: "true",
		doc: "Whether a turn lasts until the subagents that it left running have reported, as with claude -p. Otherwise it ends with its first answer, and their reports come later (iris events, iris logs)."},
	{name: "approvals", kind: kindWord, def: `"deny"`, words: []string{"deny", "ask"},
		doc: "What happens when an agent wants to use a tool that needs permission: it is denied at once, or the turn waits until somebody has decided (iris approvals, iris approve, iris deny)."},
	{name: "approval_timeout", kind: kindDuration, def: `"10m"`, min: 1, max: year, zero: "never",
		doc: "If nobody decides about a tool call within this time, the tool is denied."},
	{name: "notify", kind: kindProgram,
		doc: "A program and its arguments that the daemon runs once for each event that notify_on names. Its standard input is the event, one JSON object as of iris events --json, without any text of a message. Its environment has IRIS_NOTIFY (the word of notify_on), IRIS_TEAM, IRIS_SESSION, IRIS_MESSAGE, IRIS_APPROVAL (the id of the approval) and IRIS_DETAIL. It is killed after 30 seconds, and nothing waits for it: iris-config(5) has the rest."},
	{name: "notify_on", kind: kindWords, def: `["approval", "failed", "unknown"]`, words: []string{"approval", "failed", "unknown", "limited", "budget", "done"},
		doc: "The events that notify is run for: a tool call waits for permission, a message has failed or expired, nobody knows how a message ended, a limit of the account is reached, four fifths of a budget are spent or a budget does not allow a message, a message is done. A team's list replaces the top-level one."},
	{name: "on_resume_failure", kind: kindWord, def: `"stop"`, words: []string{"stop", "fresh"},
		doc: "What happens when a conversation cannot be resumed, because its transcript is gone or cannot be read, or its directory has moved and the version of Claude Code does not find it from the new one: the message fails and says so, or begins a new conversation."},
	{name: "inbound", kind: kindWord, def: `"refuse"`, words: []string{"refuse", "accept"},
		doc: "What an agent does with a message that another session of Claude Code sends it by itself (its tool SendMessage), past iris: it refuses the message, or begins a turn that no message of iris asked for. The tool of the sender is told."},
}

// keyNamed returns the row of that name, nil when there is none.
func keyNamed(name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// keyNames returns the names of the keys that are allowed at the top level, or in a
// team.
func keyNames(at scope) []string {
	var names []string
	for _, k := range keys {
		if k.where == both || k.where == at {
			names = append(names, k.name)
		}
	}
	return names
}

// scalar reports whether an environment variable can hold the value.
func (k *key) scalar() bool {
	return !k.list() && !k.table()
}

// table reports whether the value is a table.
func (k *key) table() bool { return k.kind == kindEnv || k.kind == kindBudget }

// list reports whether the value is a list of strings.
func (k *key) list() bool {
	return k.kind == kindArgs || k.kind == kindProgram || k.kind == kindNames || k.kind == kindWords
}

// choices are the values of a key that allows only a few.
func (k *key) choices() []string {
	if k.kind == kindBool {
		return []string{"true", "false"}
	}
	return k.words
}

func (k *key) env() string {
	if k.where == team || !k.scalar() {
		return ""
	}
	return "IRIS_" + strings.ToUpper(k.name)
}

// describe returns the type and range of a key in words.
func (k *key) describe() string {
	switch k.kind {
	case kindInt:
		if k.zero != "" {
			return fmt.Sprintf("whole number, %d to %d, or 0 for %s", k.min, k.max, k.zero)
		}
		return fmt.Sprintf("whole number, %d to %d", k.min, k.max)
	case kindBool:
		return "true or false"
	case kindWord:
		return choice(k.words)
	case kindDuration:
		return "duration" + k.orZero()
	case kindSize:
		return "size" + k.orZero()
	case kindShare:
		return "size or percentage" + k.orZero()
	case kindPart:
		return "number from 0.01 to 1"
	case kindUmask:
		return "octal number as a string"
	case kindDir:
		return "directory"
	case kindFile:
		return "file"
	case kindArgs, kindProgram, kindNames:
		return "list of strings"
	case kindWords:
		return "list of the words " + listed(k.words, "and")
	case kindEnv:
		return "table of strings"
	case kindBudget:
		return "table of dollars"
	case kindCommand:
		return "string or list of strings"
	}
	return "string"
}

// choice returns `"a", "b" or "c"`.
func choice(words []string) string { return listed(words, "or") }

// listed returns words, each in quotes, with last before the last of them.
func listed(words []string, last string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	n := len(quoted) - 1
	if n < 1 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:n], ", ") + " " + last + " " + quoted[n]
}
