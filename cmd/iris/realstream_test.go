package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What "iris send --output stream-json" prints is what "claude -p --output-format
// stream-json --verbose" prints of the same message, but for what differs between
// two runs of that too.
func TestRealStreamJSONIsThatOfClaude(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	iris, err := exec.LookPath("iris")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, iris, "")
	h.configure(strings.Replace(r.team(h, "real", h.mkdir("project")), "\nenv", "\nargs = [\"--allowedTools=Bash\"]\nenv", 1))
	for _, c := range []struct {
		text  string
		flags []string
	}{
		{"echo:hi", nil},
		{"slow:5:20ms", nil},
		{"size:300000", nil},
		{`tool:Bash:{"command":"echo '<&> ran'","description":"d"}`, nil},
		{"status:400", nil},
		{"echo:in pieces", []string{"--include-partial-messages"}},
		{`tool:Bash:{"command":"echo ran","description":"d"}`, []string{"--include-partial-messages"}},
	} {
		args := append([]string{"-p", "--output-format", "stream-json", "--verbose"}, c.flags...)
		cold := r.command(h, append(args, "--allowedTools=Bash", "--", c.text)...)
		cold.Env = append(cold.Env, "SHELL=/bin/sh")
		want := stable(t, linesOf(t, cold))
		args = append([]string{"send", "--fresh", "--output-format", "stream-json", "--verbose"}, c.flags...)
		got := stable(t, linesOf(t, h.command(append(args, "real", c.text)...)))
		if len(got) != len(want) {
			t.Errorf("%s: got %d lines, want %d:\n%s\nwant:\n%s", c.text, len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: line %d is\n%.3000s\nwant\n%.3000s", c.text, i, got[i], want[i])
			}
		}
	}
}

// linesOf runs a command, which may fail, and returns what it prints: into a
// file, since claude cuts what it writes into a pipe when it exits.
func linesOf(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = f, &stderr
	cmd.Run()
	out, err := os.ReadFile(f.Name())
	if err != nil || len(out) == 0 {
		t.Fatalf("%s prints nothing (%v)\n%s", cmd, err, &stderr)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// stable is the lines without what no two runs have in common: ids, times, and
// the number of tokens, since the system prompt has a temporary path in it.
func stable(t *testing.T, lines []string) []string {
	t.Helper()
	var out []string
	for _, line := range lines {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%.200q: %v", line, err)
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.Encode(without(v))
		out = append(out, strings.TrimSpace(b.String()))
	}
	return out
}

var volatile = regexp.MustCompile(`id$|_ms$|^timestamp$|(?i)input_?tokens$|cost_?usd$`)

func without(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	case map[string]any:
		for name := range v {
			if volatile.MatchString(name) {
				v[name] = nil
				continue
			}
			v[name] = without(v[name])
		}
	}
	return v
}
