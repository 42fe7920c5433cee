package claude

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iris/pool"
)

// An agent that does not become ready is described by what it has written.
func TestStartSaysWhatTheAgentWrote(t *testing.T) {
	const hook = `{"type":"system","subtype":"hook_started","hook_name":"SessionStart:startup"}`
	for _, c := range []struct {
		name, wrapper, want string
		permanent           bool
	}{
		{"banner", `printf 'Welcome! '; exec "$fake" "$@"`, `the answer to initialize is not a line of its own: its first output was "Welcome! {\"type\":\"control_response\"`, true},
		{"banner that stays", `printf 'Your password: '; cat > /dev/null`, `not ready after 3s (start_timeout): its first output was "Your password:", and lines of JSON are needed`, false},
		{"eaten line", `read line; exec "$fake" "$@"`, "not ready after 3s (start_timeout): it has written nothing: a SessionStart hook takes longer, or a wrapper keeps the input from it", false},
		{"hook", "echo '" + hook + "'; cat > /dev/null", "not ready after 3s (start_timeout): its hook SessionStart:startup is running", false},
		{"exit", "echo 'try again on Monday'", `exited before it was ready (exit status 0): its first output was "try again on Monday"`, false},
		{"announced", "echo 'Error: Invalid configuration:' >&2; echo 'it is not JSON' >&2; exit 1", "(exit status 1): Error: Invalid configuration: it is not JSON", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fakeRig(t)
			r.o.Env = append(r.o.Env, "fake="+r.o.Command)
			r.o.Command = put(t, "#!/bin/sh\n"+c.wrapper+"\n", t.TempDir(), "wrapper")
			os.Chmod(r.o.Command, 0o755)
			if strings.Contains(c.want, "start_timeout") {
				r.o.StartTimeout = 3 * time.Second
			}
			_, err := Start(context.Background(), r.o)
			start, ok := errors.AsType[*pool.StartError](err)
			if !ok || start.Permanent != c.permanent || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(r.o.Spools, "*.out")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestLastWords(t *testing.T) {
	for said, want := range map[string]string{
		"":                                      "",
		"one\n\ntwo\n":                          "two",
		"warning\nAn error happened\nbye\n":     "An error happened",
		"Error: Invalid settings:\n  line 3\n":  "Error: Invalid settings: line 3",
		"It does not start:\nno such user\n":    "It does not start: no such user",
		"Failed to load:\n/etc/x: an error\n\n": "Failed to load: /etc/x: an error",
		"Error:\n":                              "Error:",
	} {
		if got := lastWords([]byte(said)); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}
