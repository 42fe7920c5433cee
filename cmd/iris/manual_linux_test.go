package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestManualOpensWithMan checks that "iris help" has man show the page on a
// terminal, and prints it where there is no man or man fails.
func TestManualOpensWithMan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, man string
		want, not string
	}{
		{"man", "#!/bin/sh\necho \"man was given ${1##*/}\"\ngrep '^.TH' \"$1\"\n", ".TH \"IRIS-DAEMON-STOP\" \"1\"", "Usage: iris"},
		{"man fails", "#!/bin/sh\nexit 16\n", "Usage: iris daemon stop", ".TH"},
		{"no man", "", "Usage: iris daemon stop", ".TH"},
	} {
		h := newHouse(t, irisPath(t), "")
		bin, tmp := h.mkdir("bin"), h.mkdir("tmp")
		if c.man != "" {
			if err := writeProgram(filepath.Join(bin, "man"), c.man, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := h.command("help", "daemon", "stop")
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp, "PATH="+bin)
		if c.name == "man" {
			cmd.Env = append(cmd.Env, "PATH="+bin+":/usr/bin:/bin")
		}
		p := onTerminal(t, cmd, 80, 24)
		status, out := p.ends()
		if status != 0 || !strings.Contains(out, c.want) || strings.Contains(out, c.not) {
			t.Errorf("%s: status %d, got %q", c.name, status, out)
		}
		if c.name == "man" && !strings.Contains(out, "man was given iris-daemon-stop.1") {
			t.Errorf("got %q", out)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%s: left in the temporary directory: %v, %v", c.name, left, err)
		}
	}
}
