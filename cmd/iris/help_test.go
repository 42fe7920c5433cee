package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// help is what -h prints of a command.
func help(cmd *cobra.Command) string {
	var buf bytes.Buffer
	cmd.InitDefaultHelpFlag()
	cmd.SetOut(&buf)
	printHelp(cmd)
	return buf.String()
}

// TestHelpIsOneScreen holds what -h prints of every command to a terminal of 24
// lines. The commands that do not fit have a bound of their own.
func TestHelpIsOneScreen(t *testing.T) {
	more := map[string]int{"iris": 34, "iris send": 41}
	for _, cmd := range allCommands(newRootCmd()) {
		if cmd.Hidden || cmd.HasParent() && cmd.Parent().Hidden {
			continue
		}
		most := max(24, more[cmd.CommandPath()])
		text := help(cmd)
		if n := strings.Count(text, "\n"); n > most {
			t.Errorf("%s -h has %d lines, at most %d are allowed:\n%s", cmd.CommandPath(), n, most, text)
		}
		for _, has := range []string{"Usage: iris", "Flags:", "See " + pageName(cmd) + "(1)"} {
			if !strings.Contains(text, has) {
				t.Errorf("%s -h has no %q", cmd.CommandPath(), has)
			}
		}
		for _, line := range strings.Split(text, "\n") {
			if isHeading(line) {
				t.Errorf("%s -h has the section %s of the manual", cmd.CommandPath(), line)
			}
		}
	}
}

// TestHelpOfIrisNamesEveryCommand looks for commands that the one screen of iris
// has no room for.
func TestHelpOfIrisNamesEveryCommand(t *testing.T) {
	root := newRootCmd()
	words := strings.FieldsFunc(help(root), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
	seen := make(map[string]bool)
	for _, word := range words {
		seen[word] = true
	}
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() && !seen[cmd.Name()] {
			t.Errorf("iris -h does not name %s", cmd.Name())
		}
	}
}

// TestManualSaysAllOfACommand compares what "iris help" prints with the command.
func TestManualSaysAllOfACommand(t *testing.T) {
	for _, cmd := range allCommands(newRootCmd()) {
		if cmd.Hidden || cmd.HasParent() && cmd.Parent().Hidden {
			continue
		}
		args := append([]string{"help"}, path(cmd)...)
		var buf bytes.Buffer
		root := newRootCmd(args...)
		root.SetArgs(args)
		root.SetOut(&buf)
		root.SetErr(io.Discard)
		if err := root.Execute(); err != nil {
			t.Errorf("%s: %v", strings.Join(args, " "), err)
		}
		text, sections := splitLong(cmd.Long)
		for _, part := range []string{text, sections, cmd.Example} {
			if !strings.Contains(buf.String(), part) {
				t.Errorf("%s does not print\n%s", strings.Join(args, " "), part)
			}
		}
	}
}
