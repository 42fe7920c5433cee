package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// printHelp explains a command: what it does, how it is written, and then the
// sections that few people look up each time.
func printHelp(cmd *cobra.Command, _ []string) {
	text, sections := splitLong(cmd.Long)
	fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n", text)
	cmd.Usage()
	if sections != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", sections)
	}
}

// splitLong takes the text of a command apart where its first section begins,
// which has a line in capitals over it, and explains the statuses in it.
func splitLong(long string) (text, sections string) {
	at := 0
	for line := range strings.Lines(long) {
		title := strings.TrimSpace(line)
		if title != "" && line[0] >= 'A' && line[0] <= 'Z' && title == strings.ToUpper(title) {
			return strings.TrimSpace(long[:at]), explainStatuses(long[at:])
		}
		at += len(line)
	}
	return long, ""
}

// printUsage says how a command is written.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	var subs [][2]string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			subs = append(subs, [2]string{sub.Name(), sub.Short})
		}
	}
	section(&b, "Commands", subs)
	section(&b, "Flags", flagRows(cmd.LocalFlags()))
	section(&b, "Global flags", flagRows(cmd.InheritedFlags()))
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

func section(b *strings.Builder, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, r := range rows {
		left := r[0]
		for _, line := range wrap(r[1], columns-width-5) {
			fmt.Fprintf(b, "  %-*s   %s\n", width, left, line)
			left = ""
		}
	}
}

// columns is how wide a terminal at least is.
const columns = 80

// wrap breaks text at spaces into lines of at most width bytes.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// flagRows is how each flag is written, and what it means.
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
