package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"iris/cmd/iris/internal/terminal"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// printHelp explains a command on one screen: its purpose, its usage, and where the
// manual is. The screen has only the first paragraph of a text, and the texts of
// flags up to a semicolon.
func printHelp(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s\n", firstParagraph(cmd.Long), cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", firstParagraph(cmd.Example))
	}
	briefCommands(&b, cmd)
	section(&b, "Flags", 0, briefRows(cmd.LocalFlags()))
	if cmd.HasParent() {
		b.WriteString("\nFlags of all commands: --config FILE, --no-start, --socket PATH")
	}
	help := strings.TrimSpace("iris help " + strings.Join(path(cmd), " "))
	fmt.Fprintf(&b, "\nSee %s(1), which %q opens.", pageName(cmd), help)
	if !cmd.HasParent() {
		b.WriteString(" \"iris help -a\" explains all commands.")
	}
	b.WriteString("\n")
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// briefCommands lists the subcommands of a command; of the root, only the most used
// ones with their purpose.
func briefCommands(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() {
		commandSections(b, cmd)
		return
	}
	for i, c := range commandGroups {
		var rows [][2]string
		var names []string
		for _, made := range c.commands {
			if sub, _, err := cmd.Find([]string{made.name}); err == nil && sub.IsAvailableCommand() {
				rows = append(rows, [2]string{sub.Name(), sub.Short})
				names = append(names, sub.Name())
			}
		}
		if i == 0 {
			section(b, c.title, 0, rows)
			b.WriteString("\nMore commands:\n")
			continue
		}
		fmt.Fprintf(b, "  %-19s  %s\n", c.title, strings.Join(names, ", "))
	}
}

func firstParagraph(text string) string {
	text, _, _ = strings.Cut(text, "\n\n")
	return text
}

// splitLong splits the text of a command before its first section, which begins with
// a line in capitals, and explains the statuses in it.
func splitLong(long string) (text, sections string) {
	at := 0
	for line := range strings.Lines(long) {
		if isHeading(line) {
			return strings.TrimSpace(long[:at]), explainStatuses(long[at:])
		}
		at += len(line)
	}
	return long, ""
}

// commandSections lists the subcommands of a command; of the root, by commandGroups.
func commandSections(b *strings.Builder, cmd *cobra.Command) {
	var rest [][2]string
	width := 0
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			rest = append(rest, [2]string{sub.Name(), sub.Short})
			width = max(width, len(sub.Name()))
		}
	}
	title := "Commands"
	for _, c := range commandGroups {
		if cmd.HasParent() {
			break
		}
		var rows [][2]string
		for _, made := range c.commands {
			if i := slices.IndexFunc(rest, func(r [2]string) bool { return r[0] == made.name }); i >= 0 {
				rows, rest = append(rows, rest[i]), slices.Delete(rest, i, i+1)
			}
		}
		section(b, c.title, width, rows)
		title = "Help"
	}
	section(b, title, width, rest)
}

// isHeading reports whether a line is the title of a section: words in capitals from
// its beginning. A status alone is no title.
func isHeading(line string) bool {
	line = strings.TrimSuffix(line, "\n")
	return line != "" && line[0] != ' ' && strings.Trim(line, " ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// section writes rows of two columns, the first at least width wide.
func section(b *strings.Builder, title string, width int, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, r := range rows {
		left := r[0]
		for _, line := range terminal.Wrap(r[1], terminal.Columns-width-5) {
			fmt.Fprintf(b, "  %-*s   %s\n", width, left, line)
			left = ""
		}
	}
}

// flagRows lists each flag as it is written, and its meaning.
func flagRows(flags *pflag.FlagSet) [][2]string {
	var rows [][2]string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		left := "    --" + f.Name
		if f.Shorthand != "" {
			left = "-" + f.Shorthand + ", --" + f.Name
		}
		if f.Value.Type() != "bool" {
			left += " " + f.Value.Type()
		}
		rows = append(rows, [2]string{left, f.Usage})
	})
	return rows
}

// manualOnly marks the flags that only the manual lists.
const manualOnly = "manual-only"

// briefRows lists the flags for one screen.
func briefRows(flags *pflag.FlagSet) [][2]string {
	some := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if _, not := f.Annotations[manualOnly]; !not {
			some.AddFlag(f)
		}
	})
	rows := flagRows(some)
	for i := range rows {
		rows[i][1], _, _ = strings.Cut(rows[i][1], "; ")
	}
	return rows
}
