package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// openManual shows the page of a command with man, and reports whether it did. On
// every system man accepts a file of any name that contains a slash.
func openManual(cmd *cobra.Command, stdout io.Writer) bool {
	man, err := exec.LookPath("man")
	if err != nil {
		return false
	}
	dir, err := os.MkdirTemp("", "iris-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, pageName(cmd)+".1")
	if err := os.WriteFile(file, commandPage(cmd), 0o600); err != nil {
		return false
	}
	interrupts := make(chan os.Signal, 1) // for the pager, which shares the terminal
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	show := exec.Command(man, file)
	show.Stdin, show.Stdout, show.Stderr = os.Stdin, stdout, os.Stderr
	return show.Run() == nil
}

// printManual prints the page of a command as plain text.
func printManual(w io.Writer, cmd *cobra.Command) error {
	text, sections := splitLong(cmd.Long)
	if !cmd.HasParent() {
		sections += "\n\n" + rootSections
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s\n", text, cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	commandSections(&b, cmd)
	section(&b, "Flags", 0, flagRows(cmd.LocalFlags()))
	section(&b, "Global flags", 0, flagRows(cmd.InheritedFlags()))
	if sections != "" {
		fmt.Fprintf(&b, "\n%s\n", sections)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
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
		pages = append(pages, "iris-mcp(1)", "iris-recipes(7)", "iris-agent(7)", "iris-internals(7)", "iris-protocol(7)")
	}
	return roff(strings.Join(pages, ", "))
}

// allCommands returns cmd and all its subcommands, in a fixed order.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	subs := cmd.Commands()
	slices.SortFunc(subs, func(a, b *cobra.Command) int { return strings.Compare(a.Name(), b.Name()) })
	for _, sub := range subs {
		all = append(all, allCommands(sub)...)
	}
	return all
}

// rootSections are about all commands. The README has the same glossary.
const rootSections = `GLOSSARY
  message   a text that was sent to a session; it has an id
  turn      the work of an agent on a message, up to its answer
  attempt   one try of a message; only you repeat a turn that did something
  agent     a live process that serves one session, such as Claude Code
  account   the credentials that some teams share, and their usage limit
  slot      room for one agent; max_processes is the number of slots
  queue     the messages of a session that wait for their turn, in order
  session   a conversation of a team with one agent at a time: TEAM@SESSION
  spool     the file that an agent writes its output into
  journal   the file of messages, states and answers, on disk first
  orphan    an agent whose daemon is gone

  A team is a project directory with a name and settings.

ENVIRONMENT
  IRIS_CONFIG       the configuration file
  IRIS_SOCKET       the socket of the daemon
  IRIS_ORIGIN       the sender of a message, as "iris show" prints it
  IRIS_*            most keys of iris-config(5), such as IRIS_MAX_PROCESSES;
                    only for a daemon in the foreground, since a daemon that a
                    command starts takes from its caller only the places of its
                    files
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
  ~/.local/state/iris/journal     messages, answers and sessions
  /run/user/UID/iris/iris.sock    the daemon's socket, or else
  ~/.local/state/iris/run/iris.sock
  ~/.local/state/iris/daemon.lock the daemon's lock, with the path of its socket`

// manDate is fixed, so that the pages only change when their text does.
const manDate = "2026-11-23"

// page builds one manual page.
type page struct {
	bytes.Buffer
	paste bool // indented lines are printed from the first column, for pasting
}

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

// text formats the plain text of a command: paragraphs, sections with a line in
// capitals above them, lists of numbers, and indented lines unchanged.
func (p *page) text(text string) {
	literal, begin, done := false, ".RS 2\n.nf", ".fi\n.RE"
	if p.paste {
		begin, done = ".in 0\n.nf", ".fi\n.in"
	}
	end := func() {
		if literal {
			p.line("%s", done)
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
				p.line("%s", begin)
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

// endInLine is the end of a sentence; troff would drop the spaces after it.
var endInLine = regexp.MustCompile(`([.!?]["')]*)  `)

// roff escapes characters that are special to troff.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return endInLine.ReplaceAllString(s, `$1\&  `)
}
