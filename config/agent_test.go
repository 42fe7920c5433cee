package config

import (
	"slices"
	"strings"
	"testing"
)

func TestProgramOfATeam(t *testing.T) {
	for _, c := range []struct {
		team string
		want []string // the command, or one word of the problem
	}{
		{`agent = "acp"` + "\n" + `command = ["opencode", "acp", "-c", "x=y"]`, []string{"opencode", "acp", "-c", "x=y"}},
		{`agent = "acp"` + "\n" + `command = "~/bin/codex-acp"`, []string{"HOME/bin/codex-acp"}},
		{`agent = "codex"`, []string{"codex"}},
		{`agent = "codex"` + "\n" + `command = ["/opt/codex", "-c", "model=m"]`, []string{"/opt/codex", "-c", "model=m"}},
		{`agent = "claude"`, []string{"cc"}},
		{`agent = "claude"` + "\n" + `command = ["other"]`, []string{"other"}},
		{`agent = "acp"`, []string{"! 4:2: team \"t\" has agent = \"acp\" and no program"}},
		{`agent = "acp"` + "\n" + `command = []`, []string{"! command: must have the program"}},
		{`agent = "acp"` + "\n" + `command = ["a/b"]`, []string{"! command[0] = \"a/b\": is relative"}},
		{`agent = "acp"` + "\n" + `command = 3`, []string{"! must be a string"}},
		{`agent = "acp"` + "\n" + `command = "x"` + "\n" + `args = ["y"]`, []string{"! args: team \"t\" has agent = \"acp\""}},
		{`command = ["claude", "x"]`, []string{"! args has the arguments of Claude Code"}},
		{`agent = "ACP"`, []string{`! must be "claude", "acp", "codex" or "echo"`}},
	} {
		p := newHome(t)
		mustWrite(t, p.Config, "command = \"cc\"\nargs = [\"--top\"]\n\n[teams.t]\ndir = \"~\"\n"+c.team+"\n")
		cfg, err := Load(p)
		if want, bad := strings.CutPrefix(c.want[0], "! "); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", c.team, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.team, err)
			continue
		}
		c.want[0] = strings.Replace(c.want[0], "HOME", p.Home, 1)
		if team := cfg.Teams["t"]; !slices.Equal(team.Command, c.want) || (team.Adapter() != "") != (len(team.Args) == 0) {
			t.Errorf("%s: got %q with %q", c.team, team.Command, team.Args)
		}
	}
}
