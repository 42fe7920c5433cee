package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// The results of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

// A finding is the result of one check.
type finding struct {
	Check string `json:"check"`
	Team  string `json:"team,omitempty"`
	Is    string `json:"is"` // ok, warn or fail
	Found string `json:"found"`
	Fix   string `json:"fix,omitempty"` // a command, or what to do

	status int // exit status if it failed
}

func newDoctorCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "doctor",
		Short:      "Check the installation and print how to fix it",
		SuggestFor: []string{"diagnose", "health", "check", "login"},
		Long: `Check the installation, and print the command that fixes each problem. Nothing
is changed, no daemon and no agent is started, and nothing is sent.

The checks are: the configuration, the directories, the daemon and its systemd
unit, if there is one; for each team its directory, its program as agents find
it, its login, whether Claude Code can write its transcripts, and whether its
settings files parse; the MCP server of iris, where a team has it; and the MCP
servers that a live agent does not reach.
Where no team has Claude Code, the program that "iris send DIR" would run is
checked. Claude Code is run to print its version and login.

Each check is one line. Below a line that says warn or fail is the command that
fixes it, where there is such a command. The status is that of the first
failure: 2 for the configuration, 3 for a directory or the daemon, 8 for a team,
1 for the journal. A warning is no failure. When no daemon runs, teams are
checked as a daemon that a command starts would see them.

JSON
  an array of objects: check, team, is (ok, warn, fail), found, fix

EXIT STATUS
0 1 2 3 8`,
		Example: `  iris doctor
  iris doctor --json | jq -r '.[] | select(.is != "ok") | .fix'`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runDoctor),
	}, opts.addListFlags)
}

func runDoctor(ctx context.Context, opts *jsonOptions, _ []string, s streams) error {
	d := doctor{globals: opts.running()}
	d.run(ctx)
	if err := d.print(s.out, opts.json); err != nil {
		return err
	}
	if i := slices.IndexFunc(d.findings, func(f finding) bool { return f.Is == checkFail }); i >= 0 {
		return silentError(d.findings[i].status)
	}
	return nil
}

// A doctor makes the checks, one after another.
type doctor struct {
	*globals
	findings []finding

	missed   string // what agents miss since the login shell fails, empty if it does not
	askAgain string // asks the login shell again
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{Check: check, Is: checkOK, Found: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, fix, format string, args ...any) {
	found, fix := remedy(fmt.Sprintf(format, args...), fix)
	d.findings = append(d.findings, finding{Check: check, Is: checkWarn, Found: found, Fix: fix})
}

func (d *doctor) fail(status int, check, fix, format string, args ...any) {
	found, fix := remedy(fmt.Sprintf(format, args...), fix)
	d.findings = append(d.findings, finding{Check: check, Is: checkFail, Found: found, Fix: fix, status: status})
}

// remedy separates the command at the end of an error from its text.
func remedy(found, fix string) (string, string) {
	if what, command, ok := strings.Cut(found, "; run: "); ok {
		return what, command
	}
	return found, fix
}

func (d *doctor) run(ctx context.Context) {
	p, err := d.paths()
	if err != nil {
		d.fail(ipc.CodeUsage, "configuration", "", "%s", err)
		return
	}
	loaded := d.configuration(p)
	d.directories(p)
	status := d.daemon(ctx)
	d.unit(ctx)
	if loaded || status != nil {
		d.teams(ctx, p, status)
	}
}

func (d *doctor) print(stdout io.Writer, asJSON bool) error {
	if asJSON {
		return terminal.JSON(stdout, d.findings)
	}
	home, width := os.Getenv("HOME"), 0
	for _, f := range d.findings {
		if n := terminal.Cells(terminal.Escape(f.title(home))); n <= titleWidth {
			width = max(width, n)
		}
	}
	for _, f := range d.findings {
		if _, err := io.WriteString(stdout, f.text(home, width, terminal.Width(stdout, 0))); err != nil {
			return err
		}
	}
	return nil
}

// titleWidth is the largest width of the column of titles.
const titleWidth = 24

// text is the lines of a finding, with a column of that width for its title. On a
// terminal the finding is wrapped; a command stays whole, to be copied.
func (f *finding) text(home string, width, total int) string {
	found := f.Found
	if len(home) > 1 {
		found = strings.ReplaceAll(found, home+"/", "~/")
	}
	found = terminal.Escape(found)
	title, margin := terminal.Escape(f.title(home)), strings.Repeat(" ", width+8)
	title += strings.Repeat(" ", max(width-terminal.Cells(title), 0))
	lines := []string{found}
	if total > 0 && terminal.Cells(title+found)+8 > total {
		lines = terminal.Wrap(found, max(total-width-8, terminal.LeastText))
	}
	between := "  "
	if total > 0 && terminal.Cells(title) > width {
		between = "\n" + margin
	}
	text := fmt.Sprintf("%-4s  %s%s%s\n", f.Is, title, between, strings.Join(lines, "\n"+margin))
	if f.Fix != "" {
		text += margin + "fix: " + terminal.Escape(f.Fix) + "\n"
	}
	return text
}

// title is the name of the check, with its team.
func (f *finding) title(home string) string {
	return strings.TrimSpace(f.Check + " " + tilde(f.Team, home))
}
