package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The settings and the program of iris-recipes(7) show an approval and the end of its
// message on a desktop.
func TestNotifyRecipe(t *testing.T) {
	t.Parallel()
	recipe := recipes(t, "NOTIFY")
	h := newInn(t, "approvals = \"ask\"\n"+recipe[0], "api")
	bin := h.mkdir("bin")
	shown := filepath.Join(h.dir, "shown")
	for path, text := range map[string]string{
		bin + "/tell-me":     recipe[1],
		bin + "/notify-send": fmt.Sprintf("#!/bin/sh\necho \"$1|$2|$DBUS_SESSION_BUS_ADDRESS\" >> %s\n", shown),
		h.dir + "/.profile":  "PATH=$HOME/bin:$PATH\nunset DBUS_SESSION_BUS_ADDRESS\n",
	} {
		if err := writeProgram(path, text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.run("daemon", "reload") // for the profile
	id := strings.TrimSpace(h.run("send", "-d", "api", `ask:Bash:{}`))
	lines := func() []string {
		b, _ := os.ReadFile(shown)
		return strings.Split(string(b), "\n")
	}
	h.eventually("the approval", func() bool { return len(lines()) == 2 })
	approval := strings.TrimSpace(h.run("approvals", "-q"))
	h.run("approve", approval)
	h.eventually("the end", func() bool { return len(lines()) == 3 })
	bus := fmt.Sprintf("|unix:path=/run/user/%d/bus", os.Getuid())
	want := []string{
		"iris: api: " + approval + ": Bash|iris approvals " + approval + bus,
		"iris: api: done|iris show " + id + bus,
	}
	for i, line := range want {
		if got := lines()[i]; got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
}
