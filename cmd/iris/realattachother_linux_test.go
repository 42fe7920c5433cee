package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a person says in the terminal of another program than Claude Code is said in the
// conversation of the team, which goes on when the program has ended.
func TestRealConversationOfAnotherProgramGoesOnInATerminal(t *testing.T) {
	for _, name := range []string{"opencode", "codex"} {
		t.Run(name, func(t *testing.T) {
			h, real := adaptedHouse(t, irisPath(t), name)
			if name == "codex" { // as for somebody who has used it in this directory
				file, err := os.OpenFile(filepath.Join(h.dir, ".codex/config.toml"), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(file, "[projects.%q]\ntrust_level = \"trusted\"\n", h.mkdir("project"))
				file.Close()
			}
			h.run("send", "api", "one")
			tty := onTerminal(t, h.command("attach", "api"), 100, 30)
			tty.shows("ok:") // what was said before
			tty.types("two")
			h.until("the model was asked", func() bool {
				time.Sleep(time.Second) // an end of line that comes with text is taken for a paste
				tty.types("\r")
				return real.Turns("two") > 0
			})
			id := strings.TrimSpace(h.run("send", "--detach", "api", "dump"))
			tty.cmd.Process.Signal(syscall.SIGTERM)
			tty.ends()
			if got := h.run("wait", id); !strings.Contains(got, `"one" "two" "dump"`) {
				t.Errorf("got %s", got)
			}
		})
	}
}
