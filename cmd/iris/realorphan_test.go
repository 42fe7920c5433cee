//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A background process keeps its agent after the end of the input: with the newest
// program without limit, with an older one for 5 s. The answer does not wait for
// that, and the conversation only for orphan_grace; the process ends with the agent.
func TestRealOrphanWithADevServer(t *testing.T) {
	t.Parallel()
	k := newKilling(t, "orphan_grace = \"1h\"", "t0")
	k.open()
	k.remembered("", "t0") // it is warm now
	serve := func(seconds string) *sent {
		m := k.longer(k.message("t0", "", "background"), "sleep 1", "true; sleep "+seconds)
		k.asked(m)
		k.sleeps("sleep " + seconds)
		k.kill()
		return m
	}
	m := serve("300")
	k.next()
	k.settled(m)
	k.Logf("%d agents live after the answer", len(k.agents()))

	k.reconfigure("orphan_grace = \"1h\"", "orphan_grace = \"1s\"")
	k.settled(k.say("t0", "echo"))
	if n := len(processesOf(k.dir)); n != 2 { // the daemon and the agent
		t.Errorf("left: %q", processesOf(k.dir))
	}

	m = serve("301")
	k.run("daemon", "settle")
	if left := processesOf(k.dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	k.next()
	k.settled(m, k.say("t0", "echo"))
	k.end()
}

// reconfigure changes the configuration and has the daemon read it.
func (k *killing) reconfigure(old, new string) {
	k.T.Helper()
	path := filepath.Join(k.dir, "config", "iris", "config.toml")
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(new), 1), 0o600)
	}
	if err != nil {
		k.Fatal(err)
	}
	k.run("daemon", "reload")
}
