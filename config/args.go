package config

import (
	"fmt"
	"slices"
	"strings"
)

// A badFlag is a flag of Claude Code that no agent can have.
type badFlag struct {
	names []string
	rule  string
}

// badFlags were tried: with each of them Claude Code does not start as an agent, has
// another conversation than iris records, or leaves no transcript to go on with.
var badFlags = []badFlag{
	{[]string{"--session-id", "--resume", "-r", "--continue", "-c", "--fork-session", "--from-pr", "--resume-session-at", "--rewind-files", "--teleport"},
		`iris itself says which conversation an agent has: name one by TEAM@SESSION`},
	{[]string{"--no-session-persistence"},
		`without a transcript no conversation goes on; "iris send --fresh" has one for each message`},
	{[]string{"--output-format", "--input-format"},
		`iris sets the format between itself and an agent; "iris send --output" chooses what is printed`},
	{[]string{"--bg", "--background"},
		`it starts a session that iris does not know; "iris send --detach" does not wait for the answer`},
	{[]string{"--help", "-h", "--version", "-v", "--init-only"},
		`the program would print or prepare something and end; run it by hand`},
	{[]string{"--cloud", "--remote", "--environment", "--desktop", "--sdk-url"},
		`an agent runs on this machine, without a window`},
	{[]string{"--worktree", "-w", "--tmux"},
		`the agent would work in another directory than its team; make one with "git worktree add" and name it as dir`},
	{[]string{"--"},
		`what comes after it, such as a flag of iris, would be taken for a message; leave it out`},
}

// argRule returns the rule that an argument for Claude Code breaks; before is the
// argument before it, which may take it as its value.
func argRule(first bool, before, arg string) string {
	if before == "--append-system-prompt" || before == "--system-prompt" {
		return ""
	}
	if first && arg != "" && !strings.HasPrefix(arg, "-") {
		return `the first argument must be a flag: a message or command of Claude Code is none; "iris send" takes messages`
	}
	names := []string{arg}
	switch name, _, joined := strings.Cut(arg, "="); {
	case strings.HasPrefix(arg, "--") && joined:
		names[0] = name
	case len(arg) > 2 && arg[0] == '-' && arg[1] != '-':
		names = shortFlags(arg[1:])
	}
	for _, name := range names {
		for _, bad := range badFlags {
			if slices.Contains(bad.names, name) {
				return "no agent can have " + name + ": " + bad.rule
			}
		}
	}
	return ""
}

// shortFlags splits short flags that are written as one argument, as in -pc. The rest
// of an argument belongs to the first flag that takes a value.
func shortFlags(letters string) (names []string) {
	for _, c := range letters {
		names = append(names, "-"+string(c))
		if !strings.ContainsRune("pchv", c) {
			break
		}
	}
	return names
}

// asksElsewhere returns the argument that sends requests for permission past iris;
// empty if there is none.
func asksElsewhere(args []string) string {
	i := slices.IndexFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return name == "--permission-prompt-tool" || name == "--permission-prompts"
	})
	if i < 0 {
		return ""
	}
	return args[i]
}

// checkAsking reports arguments of a team that make approvals = "ask" useless.
func (l *loader) checkAsking(t *Team) {
	flag := asksElsewhere(t.Args)
	if flag == "" || t.Approvals != "ask" || t.Agent != agentClaude {
		return
	}
	at, ok := t.origin.of("args")
	if !ok {
		at, _ = l.cfg.origin.of("args")
	}
	l.problems = append(l.problems, at.problem(fmt.Errorf("args: %s: team %q has approvals = \"ask\", so that iris is asked; leave out one of the two", flag, t.Name)))
}
