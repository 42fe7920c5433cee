package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What "iris send --output stream-json" prints is what "claude -p --output-format
// stream-json --verbose" prints of the same message, but for what differs between
// two runs of that too.
func TestRealStreamJSONIsThatOfClaude(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	iris := irisPath(t)
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
				t.Errorf("%s: line %d differs in %s", c.text, i, strings.Join(differences(t, got[i], want[i]), "; "))
			}
		}
	}
}

// With a subagent, ids and times are in the texts too: the same lines have to come, and
// in the same order but for the result of the first turn. iris prints that when it is
// there, and "claude -p" of 2.1.332 at the end.
func TestRealStreamJSONWithASubagentIsThatOfClaude(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	iris := irisPath(t)
	h := newHouse(t, iris, "")
	h.configure(r.team(h, "real", h.mkdir("project")))
	const text = `tool:Agent:{"description":"d","subagent_type":"general-purpose","prompt":"after:1s:echo:found"}`
	args := []string{"--output-format", "stream-json", "--verbose"}
	cold := r.command(h, append(append([]string{"-p"}, args...), "--", text)...)
	cold.Env = append(cold.Env, "SHELL=/bin/sh")
	want, wantResults := kindsOf(t, linesOf(t, cold))
	got, results := kindsOf(t, linesOf(t, h.command(append(append([]string{"send", "--fresh"}, args...), "real", text)...)))
	if !slices.Equal(got, want) || !slices.Contains(got, "system/task_started/") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(results, wantResults) {
		t.Errorf("results %q, want %q", results, wantResults)
	}
}

// kindsOf is what each line is, and how the answers begin.
func kindsOf(t *testing.T, lines []string) (kinds, results []string) {
	t.Helper()
	for _, line := range lines {
		var v struct{ Type, Subtype, Status, Result string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%.200q: %v", line, err)
		}
		if v.Type == "result" {
			results = append(results, v.Result[:min(20, len(v.Result))])
		} else {
			kinds = append(kinds, v.Type+"/"+v.Subtype+"/"+v.Status)
		}
	}
	return kinds, results
}

// linesOf runs a command, which may fail, and returns its output. The output goes
// into a file, since claude cuts its output to a pipe when it exits.
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

// differences names the members in which two lines differ, and how.
func differences(t *testing.T, got, want string) (all []string) {
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, a, b any)
	compare = func(path string, a, b any) {
		x, ok := a.(map[string]any)
		y, too := b.(map[string]any)
		if !ok || !too {
			if !reflect.DeepEqual(a, b) {
				all = append(all, fmt.Sprintf("%s: %.200v, want %.200v", path, a, b))
			}
			return
		}
		for name := range x {
			if _, ok := y[name]; !ok {
				all = append(all, fmt.Sprintf("%s.%s: %.200v is too much", path, name, x[name]))
			} else {
				compare(path+"."+name, x[name], y[name])
			}
		}
		for name := range y {
			if _, ok := x[name]; !ok {
				all = append(all, fmt.Sprintf("%s.%s: %.200v is missing", path, name, y[name]))
			}
		}
	}
	compare("", a, b)
	slices.Sort(all)
	return all
}

var volatile = regexp.MustCompile(`id$|_ms$|_socket_path$|^timestamp$|(?i)input_?tokens$|cost_?usd$`)

// ofMessages are the members that Claude Code (2.1.332) adds where messages come on
// its standard input, each with an id. "claude -p TEXT" has no such message.
var ofMessages = regexp.MustCompile(`^(user_message_uuids?|begun_message_ids|first_request_.*|request_sent_wall_ms|owed_rows)$`)

func without(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	case map[string]any:
		for name := range v {
			if ofMessages.MatchString(name) {
				delete(v, name)
				continue
			}
			if volatile.MatchString(name) {
				v[name] = nil
				continue
			}
			v[name] = without(v[name])
		}
	}
	return v
}
