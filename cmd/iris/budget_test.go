package main

import (
	"fmt"
	"strings"
	"testing"
)

// With a team, the budgets are those that limit its messages.
func TestBudgetsOfATeam(t *testing.T) {
	t.Parallel()
	h := newHouse(t, irisPath(t), "")
	h.configure(fmt.Sprintf("budget.day = 20\n[teams.a]\ndir = %q\nbudget.month = 5\n[teams.b]\ndir = %[1]q\nbudget.day = 3\n", h.mkdir("project")))
	for args, want := range map[string]string{
		"": "all teams day,a month,b day", "a": "all teams day,a month", "echo": "all teams day",
	} {
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(h.run(strings.Fields("usage --budget "+args)...)), "\n")[1:] {
			team, rest, _ := strings.Cut(line, "  ")
			got = append(got, team+" "+strings.Fields(rest)[0])
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	for args, want := range map[string]string{
		"nobody":     "4: no team \"nobody\"",
		"a@review":   "2: a budget is that of a team, not of a session",
		"--by day":   "2: --budget shows the day and the month that it is now",
		"--since 1d": "2: --budget shows the day and the month that it is now",
	} {
		cmd := h.command(strings.Fields("usage --budget " + args)...)
		out, _ := cmd.CombinedOutput()
		text, _, _ := strings.Cut(strings.TrimPrefix(string(out), "iris: "), "\n")
		if got := fmt.Sprintf("%d: %s", cmd.ProcessState.ExitCode(), text); got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}
}
