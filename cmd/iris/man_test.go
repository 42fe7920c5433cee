package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/config"
)

// manDate is fixed, so that the pages only change when their text does.
const manDate = "2026-11-23"

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

func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// page builds one manual page.
type page struct{ bytes.Buffer }

func (p *page) head(name, section, short string) {
	p.line(`.\" Generated from the commands: go test ./cmd/iris -run Generated -update`)
	p.line(`.TH %q %q %q "iris" "iris manual"`, strings.ToUpper(name), section, manDate)
	p.line(".nh\n.ad l\n.ss 12 0") // no hyphens, a ragged margin, one space between sentences
	p.section("NAME")
	p.line(`%s \- %s`, roff(name), roff(short))
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", title) }

func (p *page) item(term, text string) { p.line(".TP\n.B %s\n%s", roff(term), roff(text)) }

var numbered = regexp.MustCompile(`^ +(\d+)  (.*)$`)

// text sets the plain text of a command: paragraphs, sections with a line in
// capitals over them, lists of numbers, and indented lines as they are.
func (p *page) text(text string) {
	literal := false
	end := func() {
		if literal {
			p.line(".fi\n.RE")
		}
		literal = false
	}
	for _, line := range strings.Split(text, "\n") {
		m := numbered.FindStringSubmatch(line)
		switch {
		case line == "":
			end()
			p.line(".PP")
		case isHeading(line):
			end()
			p.section(line)
		case m != nil:
			p.item(m[1], m[2])
		case line[0] == ' ':
			if !literal {
				p.line(".RS 2\n.nf")
			}
			literal = true
			p.line("%s", roff(strings.TrimPrefix(line, "  ")))
		default:
			end()
			p.line("%s", roff(line))
		}
	}
	end()
}

// roff escapes what troff would take for its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func commandPage(cmd *cobra.Command) []byte {
	p := &page{}
	p.head(pageName(cmd), "1", strings.ToLower(cmd.Short[:1])+cmd.Short[1:])
	p.section("SYNOPSIS")
	p.line(".B %s", roff(cmd.UseLine()))
	text, sections := splitLong(cmd.Long)
	p.section("DESCRIPTION")
	p.text(text)
	p.commands(cmd)
	p.flags("OPTIONS", cmd.LocalFlags())
	p.flags("GLOBAL OPTIONS", cmd.InheritedFlags())
	p.text(strings.TrimSpace(sections))
	if cmd.HasExample() {
		p.section("EXAMPLES")
		p.text(cmd.Example)
	}
	if !cmd.HasParent() {
		p.text(rootSections)
	}
	p.section("SEE ALSO")
	p.line("%s", seeAlso(cmd))
	return p.Bytes()
}

func (p *page) commands(cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	p.section("COMMANDS")
	for _, sub := range allCommands(cmd)[1:] {
		if sub.IsAvailableCommand() {
			p.item(fmt.Sprintf("%s(1)", pageName(sub)), sub.Short)
		}
	}
}

func (p *page) flags(title string, flags *pflag.FlagSet) {
	rows := flagRows(flags)
	if len(rows) == 0 {
		return
	}
	p.section(title)
	for _, r := range rows {
		p.item(strings.TrimSpace(r[0]), r[1])
	}
}

func seeAlso(cmd *cobra.Command) string {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, pageName(cmd.Parent())+"(1)")
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			pages = append(pages, pageName(sub)+"(1)")
		}
	}
	pages = append(pages, "iris-config(5)")
	if !cmd.HasParent() {
		pages = append(pages, "iris-protocol(7)")
	}
	return roff(strings.Join(pages, ", "))
}

// rootSections is what concerns all commands.
const rootSections = `ENVIRONMENT
  IRIS_CONFIG       the configuration file
  IRIS_SOCKET       the socket of the daemon
  IRIS_ORIGIN       who sends a message, as "iris show" tells it
  IRIS_...          most keys of iris-config(5), such as IRIS_MAX_PROCESSES; for a
                    daemon in the foreground only, since one that a command starts
                    takes nothing from its caller but where its files are
  XDG_CONFIG_HOME   for the configuration, by default ~/.config
  XDG_STATE_HOME    for the state, by default ~/.local/state
  XDG_RUNTIME_DIR   for the socket, by default /run/user/UID; when neither is a
                    directory of yours alone, the socket is in the state
                    directory
  HOME              for these defaults

FILES
  ~/.config/iris/config.toml      the configuration
  ~/.config/iris/conf.d/*.toml    teams, one file each
  ~/.local/state/iris/iris.log    the daemon's log, rotated
  ~/.local/state/iris/spool/      what agents write
  ~/.local/state/iris/journal     messages, answers and conversations
  /run/user/UID/iris/iris.sock    the daemon's socket, or else
  ~/.local/state/iris/run/iris.sock`

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

const configText = `The configuration is TOML: $XDG_CONFIG_HOME/iris/config.toml and conf.d/*.toml
beside it, which hold teams only. All of them may be missing. A value comes from
the first of these that has one: a flag of iris-daemon(1), a variable of the
environment, the file, the default.

A daemon takes a change up by itself. A configuration with a mistake is refused
as a whole and the old one stays; "iris config check" says what is wrong with it,
"iris config show" what is in force. Files that others may write are refused.

A duration is a string such as "30s", "1h30m" or "7d", a size one such as "800MB"
or "2GiB".`

const configExample = `  max_processes = 6
  idle_timeout = "30m"

  [teams.api]
  dir = "~/src/api"
  description = "the API"
  args = ["--model", "opus"]

  [teams.api.env]
  PORT = "8080"`
