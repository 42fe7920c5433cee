package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

// How a check came out.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

// A finding is what one check has found.
type finding struct {
	Check string `json:"check"`
	Team  string `json:"team,omitempty"`
	Is    string `json:"is"` // ok, warn or fail
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"` // a command, or what to do

	status int // exit status when it has failed
}

type doctorOptions struct {
	*globals
	json bool
}

func (o *doctorOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newDoctorCmd(g *globals) *cobra.Command {
	opts := doctorOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "doctor",
		Short:      "Check that all is in place, and say how to mend what is not",
		SuggestFor: []string{"diagnose", "health", "check", "login"},
		Long: `Check the configuration, the directories, the daemon, its unit of systemd if
there is one, and for each team its directory, its program as agents find it,
and whether it is logged in; where no team has Claude Code, what "iris send DIR"
would run. Nothing is changed, no daemon and no agent is started, and nothing is
sent; Claude Code is run to say its version and login.

One line says what was found, and below a line that says warn or fail is the
command that mends it, where one does. The status is that of the first that
failed: 2 for the configuration, 3 for a directory or the daemon, 8 for a team,
1 for the journal; a warning is no failure. When no daemon runs, teams are
looked at as one would see them that a command starts.

JSON
  an array of objects: check, team, is (ok, warn, fail), found, mend

EXIT STATUS
0 1 2 3 8`,
		Example: `  iris doctor
  iris doctor --json | jq -r '.[] | select(.is != "ok") | .mend'`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runDoctor(ctx context.Context, opts doctorOptions, stdout io.Writer) error {
	g := *opts.globals
	g.noStart = true
	d := doctor{globals: &g}
	d.run(ctx)
	if err := d.print(stdout, opts.json); err != nil {
		return err
	}
	if i := slices.IndexFunc(d.findings, func(f finding) bool { return f.Is == checkFail }); i >= 0 {
		return silentError(d.findings[i].status)
	}
	return nil
}

// A doctor makes the checks, one after the other.
type doctor struct {
	*globals
	findings []finding
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{Check: check, Is: checkOK, Found: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, mend, format string, args ...any) {
	found, mend := remedy(fmt.Sprintf(format, args...), mend)
	d.findings = append(d.findings, finding{Check: check, Is: checkWarn, Found: found, Mend: mend})
}

func (d *doctor) fail(status int, check, mend, format string, args ...any) {
	found, mend := remedy(fmt.Sprintf(format, args...), mend)
	d.findings = append(d.findings, finding{Check: check, Is: checkFail, Found: found, Mend: mend, status: status})
}

// remedy takes the command out of an error that ends with one.
func remedy(found, mend string) (string, string) {
	if what, command, ok := strings.Cut(found, "; run: "); ok {
		return what, command
	}
	return found, mend
}

func (d *doctor) run(ctx context.Context) {
	p, err := d.paths()
	if err != nil {
		d.fail(ipc.CodeUsage, "configuration", "", "%s", err)
		return
	}
	loaded := d.configuration(p)
	d.directories(p)
	status := d.daemon(ctx, p)
	d.unit(ctx)
	if loaded || status != nil {
		d.teams(ctx, p, status)
	}
}

func (d *doctor) print(stdout io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(stdout, d.findings)
	}
	home, width := os.Getenv("HOME"), 0
	for _, f := range d.findings {
		if n := cells(escape(f.title(home))); n <= titleWidth {
			width = max(width, n)
		}
	}
	for _, f := range d.findings {
		if _, err := io.WriteString(stdout, f.text(home, width, widthOf(stdout, 0))); err != nil {
			return err
		}
	}
	return nil
}

// titleWidth is how wide the column of titles may be.
const titleWidth = 24

// text is the lines of a finding, with a column of that width for its title. On
// a terminal what was found is wrapped; a command stays whole, to be copied.
func (f *finding) text(home string, width, terminal int) string {
	found := f.Found
	if len(home) > 1 {
		found = strings.ReplaceAll(found, home+"/", "~/")
	}
	found = escape(found)
	title, margin := escape(f.title(home)), strings.Repeat(" ", width+8)
	title += strings.Repeat(" ", max(width-cells(title), 0))
	lines := []string{found}
	if terminal > 0 && cells(title+found)+8 > terminal {
		lines = wrap(found, max(terminal-width-8, leastText))
	}
	between := "  "
	if terminal > 0 && cells(title) > width {
		between = "\n" + margin
	}
	text := fmt.Sprintf("%-4s  %s%s%s\n", f.Is, title, between, strings.Join(lines, "\n"+margin))
	if f.Mend != "" {
		text += margin + "mend: " + escape(f.Mend) + "\n"
	}
	return text
}

// title is the check's name, with its team.
func (f *finding) title(home string) string {
	return strings.TrimSpace(f.Check + " " + tilde(f.Team, home))
}
