package main

import (
	"strings"

	"github.com/spf13/cobra"

	"iris/config"
)

// manFiles makes one page in section 1 for each command and iris-config(5).
func manFiles(root *cobra.Command) map[string][]byte {
	root.InitDefaultHelpFlag()
	files := map[string][]byte{"iris-config.5": configPage()}
	for _, cmd := range allCommands(root) {
		if cmd.IsAvailableCommand() || cmd == root {
			files[pageName(cmd)+".1"] = commandPage(cmd)
		}
	}
	return files
}

// configPage describes every key of the configuration.
func configPage() []byte {
	p := &page{}
	p.head("iris-config", "5", "configuration of iris")
	p.section("DESCRIPTION")
	p.text(configText)
	for _, part := range []struct {
		title string
		holds func(config.Key) bool
	}{
		{"KEYS OF THE DAEMON", func(k config.Key) bool { return k.Top && !k.Team }},
		{"KEYS OF TEAMS, OR OF ALL OF THEM AT THE TOP LEVEL", func(k config.Key) bool { return k.Top && k.Team }},
		{"KEYS OF TEAMS ONLY", func(k config.Key) bool { return !k.Top }},
	} {
		p.section(part.title)
		for _, k := range config.Keys() {
			if part.holds(k) {
				p.key(k)
			}
		}
	}
	p.section("EXAMPLE")
	p.text(configExample)
	p.section("SEE ALSO")
	p.line("%s", roff("iris(1), iris-config(1), iris-daemon(1), iris-team(1)"))
	return p.Bytes()
}

func (p *page) key(k config.Key) {
	meta := strings.ToUpper(k.Type[:1]) + k.Type[1:]
	if k.Default != "" {
		meta += "; default " + k.Default
	}
	if k.Env != "" {
		meta += "; $" + k.Env
	}
	p.item(k.Name, k.Doc)
	p.line(".br\n%s.", roff(meta))
}

const configText = `None is needed. The configuration is TOML: $XDG_CONFIG_HOME/iris/config.toml, and
conf.d/*.toml beside it, which hold teams only. All of these files may be missing.
"iris team add NAME DIR" writes a file of its own, conf.d/NAME.toml. All settings
of a team are in one file: "iris team edit NAME" opens it, and "iris config set
--team NAME KEY VALUE" changes one setting there. "iris config edit" opens
config.toml.

The first of these that has a value decides: a flag of iris-daemon(1), a variable
of the environment, the file, the default. Flags and environment are those of an
"iris daemon" that you or systemd start in the foreground; a daemon that a command
starts in the background takes nothing from its caller.

A daemon looks for changes of the files before it answers a command and before an
agent gets a message, so that a message sent after an edit runs under the new
settings. It waits until nobody has written to a file for 0.15 seconds, at most a
second. While nobody asks for anything and no turn begins, the old settings stay:
an idle agent is stopped after the old idle_timeout. "iris daemon reload" and SIGHUP
have the daemon read the files at once.

A configuration with a mistake is refused as a whole and the old one stays, as it
does while config.toml is missing: "iris status" reports it, and "iris config
check" names each mistake with its file, line and column. "iris config show" prints
every value and its source, "iris config sample" all keys with their defaults. Files
that others may write are refused; a group of your name without another member is
you. Messages that wait for a team which is no longer in the configuration are held
until it is back, or cancelled.

A duration is a string such as "30s", "1h30m" or "7d", a size a string such as
"800MB" or "2GiB".

ENVIRONMENT OF AGENTS
The environment of an agent is built anew for each start. From your login shell, or
from an "iris daemon" that you started in the foreground, it gets: identity, locale,
PATH, proxies and certificates, SSH_AUTH_SOCK, and what Claude Code documents for its
users, such as ANTHROPIC_*, CLAUDE_CODE_*, CLAUDE_CONFIG_DIR, MCP_* and
BASH_MAX_TIMEOUT_MS. A variable of one process, such as CLAUDE_CODE_SESSION_ID, is
left out. pass_env, env_file and env add more.

A switch brings what it needs: CLAUDE_CODE_USE_BEDROCK, _MANTLE and _ANTHROPIC_AWS
bring AWS_*; CLAUDE_CODE_USE_VERTEX and _ANTHROPIC_GOOGLE_CLOUD bring GOOGLE_*,
GCLOUD_PROJECT, CLOUD_ML_REGION, CLOUDSDK_* and VERTEX_REGION_*;
CLAUDE_CODE_USE_FOUNDRY brings AZURE_*; CLAUDE_CODE_ENABLE_TELEMETRY brings OTEL_*.
The switch may be in the profile, the env_file or env. For a switch in a
settings.json of Claude Code, list the variables in pass_env.

The login shell (in /etc/passwd) reads your profile as at a login, without a
terminal. If the program of a team is not on its PATH, an interactive login shell is
asked, which reads ~/.bashrc or ~/.zshrc to the end. Last come the directory of a
command that is a path, ~/.local/bin and ~/.claude/local. An agent that starts waits
up to ten seconds for the shell. A shell that failed is asked again at the next start
of an agent, "iris daemon reload" asks it at once, and "iris doctor" tells why it
failed. "iris config show --env TEAM" prints the environment.

CHANGES
An agent is replaced between two turns, and keeps its conversation, when one of
these has changed since its start; "iris ps" says why: the configuration, env_file,
environment, program, CLAUDE.md and CLAUDE.local.md with the files that they import,
rules, output styles, settings, .mcp.json, files that args name, and a link in the
path of its directory. Commands, agents and skills are no reason: the agent is asked to
read them again, before the next message. The files are those of the directory of
the team and of its parents (20 levels; settings only of the directory itself), of
~/.claude or CLAUDE_CONFIG_DIR, and of the administrator. Of imports 100 files are
watched, of a directory of commands, agents, skills or rules 1000 entries, four
levels deep. Not seen: ~/.claude.json, files of plugins, and what a wrapper script
runs as the program.

The old text of a CLAUDE.md stays in a conversation of a newer Claude Code
(2.1.332), which adds the new text to it. "iris session reset" begins without it.

A settings file or .mcp.json that is no JSON object keeps agents from starting: Claude
Code would start without anything that the file says, such as its deny rules. A start
waits three seconds for a file that is being saved; then the message fails (status
8) and names the file, line and column, as do "iris ps" and "iris doctor". An agent
that runs goes on with the .mcp.json that it has read, and "iris ps" names the file.
Settings it reads again by itself, so it has lost such rules: it is replaced before its
next turn, but a turn that is running goes on without them. A blank file counts as one
that says nothing, as for Claude Code.

Claude Code ignores all of a settings file, too, if one value in it has a wrong kind,
such as a string for the list permissions.deny. An agent that starts is asked for
that; the message then fails (status 8) and names the file and the value.

While an update replaces the program, agents that run go on, and a start waits ten
seconds for a program that has run before.

NOTIFY
The words of notify_on, and the events of iris-events(1) that they name:

  approval   approval-asked: a tool call waits for your permission
  failed     message-ended: the message has failed or expired
  unknown    message-ended: nobody knows how the message ended
  limited    limited: a limit of the account is reached
  budget     budget-low, budget-spent: four fifths of a budget are spent, or it does
             not allow a message
  done       message-ended: the message is done, even if a tool was denied

A limit, and the budget of all teams, belongs to no team: it is an event for notify of
the top level. The events of a budget come once a day or month, and again when it was
changed. A message that was cancelled is none of these, and neither is an attempt that
another attempt follows. The program runs in HOME, in a session of its own, with the variables
of your login shell, IRIS_SOCKET and those of the event. Commands of iris in it are
yours, not those of an agent: it may decide about the approval.

No turn, no answer and no stop of the daemon waits for the program. Four run at a time.
After 30 seconds a program is killed with its process group; what has to run longer
goes into the background, with its output elsewhere. When 100 events wait, the oldest
is dropped: the log names it, and "iris status" counts them. If a program fails, "iris
status" says so until one succeeds or the configuration is reloaded, and the log has
the end of its standard error.

"iris daemon restart" waits ten seconds for programs that run, and is refused if one
still runs. The events that wait go to the next daemon: for each the program runs once. When the daemon stops, it kills
the programs that run and drops the events that wait. When it is killed, programs that
run go on, and the events that wait are lost; the end of a message that was running has
its event when the next daemon knows of it. No event comes twice.`

const configExample = `  max_processes = 6        # agents at a time
  idle_timeout = "15m"     # an idle agent ends after this; "0" for never
  when_full = "wait"       # or "fail", or "evict": stop the oldest busy one

  [teams.api]
  dir = "~/src/api"
  description = "billing API"
  args = ["--model", "opus"]
  env_file = "~/.config/iris/api.env"   # must be 0600

  [teams.api.env]
  PORT = "8080"

  [teams.docs]
  dir = "~/src/docs"
  idle_timeout = "0"`
