package main

import (
	"slices"
	"testing"
)

// The program of a terminal gets what belongs to the terminal from the caller, and nothing
// else: the rest is the team's.
func TestVariablesOfTheTerminal(t *testing.T) {
	got := ofTerminal([]string{"TERM=xterm", "TERM_PROGRAM=x", "PATH=/bin", "TERMITE=1", "KITTY_PID=1", "ANTHROPIC_API_KEY=mine", "LC_ALL=C", "EDITOR=vi"})
	if want := []string{"TERM=xterm", "TERM_PROGRAM=x", "KITTY_PID=1", "EDITOR=vi"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
