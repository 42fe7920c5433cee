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
of a team are in one file: add settings to the file of a team that was added, or
run "iris team rm" first.

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
that others may write are refused. Messages that wait for a team which is no longer
in the configuration are held until it is back, or cancelled.

A duration is a string such as "30s", "1h30m" or "7d", a size a string such as
"800MB" or "2GiB".

ENVIRONMENT OF AGENTS
The environment of an agent is built anew for each start: identity, locale, PATH,
proxies and certificates, SSH_AUTH_SOCK, ANTHROPIC_*, CLAUDE_CONFIG_DIR and
CLAUDE_CODE_USE_* of your login shell (or of an "iris daemon" that you started in
the foreground), and the variables that pass_env, env_file and env add. "iris
config show --env TEAM" prints it, and "iris daemon reload" asks the login shell
anew.

CHANGES
An agent whose CLAUDE.md, settings, .mcp.json, configuration or program has
changed is replaced between two turns and keeps its conversation; "iris ps" says
why. The old text of a CLAUDE.md stays in a conversation of a newer Claude Code
(2.1.332), which adds the new text to it. "iris session reset" begins without it.`

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
