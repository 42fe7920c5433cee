package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/ipc"
)

func TestFindingsFitTheTerminal(t *testing.T) {
	long := "~/src/docs, /usr/bin/claude 2.1.197, logged in (api_key)"
	for _, c := range []struct {
		f        finding
		terminal int
		want     string
	}{
		{finding{Check: "team", Team: "api", Is: checkOK, Found: "/home/me/src/docs, well"}, 80, `
ok    team api      ~/src/docs, well
`},
		{finding{Check: "team", Team: "請求書", Is: checkFail, Found: long, Fix: "a command that is longer than the terminal is wide"}, 50, `
fail  team 請求書   ~/src/docs, /usr/bin/claude
                    2.1.197, logged in (api_key)
                    fix: a command that is longer than the terminal is wide
`},
		{finding{Check: "team", Team: "of-a-long-name", Is: checkWarn, Found: long, Fix: "iris"}, 80, `
warn  team of-a-long-name
                    ~/src/docs, /usr/bin/claude 2.1.197, logged in (api_key)
                    fix: iris
`},
		{finding{Check: "team", Team: "of-a-long-name", Is: checkWarn, Found: long}, 0, `
warn  team of-a-long-name  ~/src/docs, /usr/bin/claude 2.1.197, logged in (api_key)
`},
	} {
		if got, want := c.f.text("/home/me", 12, c.terminal), strings.TrimPrefix(c.want, "\n"); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

// Directories that are not there yet are no fault where they can be made.
func TestAMissingDirectoryCanBeMade(t *testing.T) {
	home := t.TempDir()
	var d doctor
	if d.private("state", filepath.Join(home, "a", "b")); d.findings[0].Is != checkOK {
		t.Errorf("got %+v", d.findings[0])
	}
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	if err := os.Chmod(home, 0o500); err != nil {
		t.Fatal(err)
	}
	d.private("state", filepath.Join(home, "a", "b"))
	if f := d.findings[1]; f.Is != checkFail || f.status != ipc.CodeDaemon || !strings.HasSuffix(f.Found, "you may not write in "+home) {
		t.Errorf("got %+v", f)
	}
}
