package adapter

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"iris/pool/adapter/adaptertest"
	"iris/pool/adapter/modeltest"
)

func self(t *testing.T, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{exe}, args...)
}

const promises = 18 // how many lines a check has

func TestCheckOfWhatCanBeAnAgent(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, argv := range [][]string{self(t, "agent", "echo"), append(self(t, "agent", "acp", "--"), adaptertest.Command()...)} {
		var out bytes.Buffer
		if err := Check(t.Context(), argv, &out); err != nil || strings.Count(out.String(), "ok    ") != promises {
			t.Errorf("%q: got %v\n%s", argv, err, &out)
		}
	}
}

func TestCheckOfWhatCannotBeAnAgent(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"sh", "-c", "exit 3"}, "answers initialize: the program has ended"},
		{[]string{"no-such-program"}, "executable file not found"},
		{append(self(t, "agent", "acp", "--"), adaptertest.Command("version2")...), "answers initialize: "},
		{[]string{"sh", "-c", strings.Join(self(t, "agent", "echo"), " ") + " \"$@\" | grep --line-buffered -v '\"running\"'", "sh"}, "running comes first"},
		{[]string{"sh", "-c", "sleep 1000 >/dev/null & " + strings.Join(self(t, "agent", "echo"), " ") + " \"$@\"", "sh"}, "processes of it are left"},
	} {
		var out bytes.Buffer
		if err := Check(t.Context(), c.argv, &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v\n%s", c.argv, err, &out)
		}
	}
}

func TestRealProgramsPassTheCheck(t *testing.T) {
	for _, name := range []string{"opencode", "codex"} {
		t.Run(name, func(t *testing.T) {
			real := modeltest.NewReal(t, name, t.TempDir())
			for _, v := range real.Env {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			t.Chdir(t.TempDir())
			var out bytes.Buffer
			if err := Check(t.Context(), append(self(t, "agent", real.Agent, "--"), real.Command...), &out); err != nil {
				t.Errorf("got %v\n%s", err, &out)
			}
		})
	}
}
