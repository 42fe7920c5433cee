package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/config"
	"iris/config/sys/systest"
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
}

func TestADirectoryThatCannotBeMadeIsAFault(t *testing.T) {
	systest.NeedsUser(t)
	home := t.TempDir()
	if err := os.Chmod(home, 0o500); err != nil {
		t.Fatal(err)
	}
	var d doctor
	d.private("state", filepath.Join(home, "a", "b"))
	if f := d.findings[0]; f.Is != checkFail || f.status != ipc.CodeDaemon || !strings.HasSuffix(f.Found, "you may not write in "+home) {
		t.Errorf("got %+v", f)
	}
}

func TestSlowLoginShellIsAWarning(t *testing.T) {
	var d doctor
	d.loginShell(&ipc.LoginShell{Path: "/bin/zsh", Took: 300}, nil)
	d.loginShell(&ipc.LoginShell{Path: "/bin/zsh", Took: 4210}, nil)
	if len(d.findings) != 1 || d.findings[0].Is != checkWarn || !strings.HasPrefix(d.findings[0].Found, "/bin/zsh took 4.2s to read your profile") {
		t.Errorf("got %+v", d.findings)
	}
}

func TestDoctorNamesTheCredentialsThatAgentsDoNotGet(t *testing.T) {
	t.Setenv("ANTHROPIC_AUTH_TOKEN", "secret")
	t.Setenv("AWS_PROFILE", "team")
	t.Setenv("AWS_REGION", "here")
	var d doctor
	d.team(&ipc.TeamCheck{Team: "api", Agent: "claude", Program: "/bin/claude", Login: "none", Credentials: []string{"AWS_REGION"}, Withheld: []string{"AWS_PROFILE"}})
	found := d.findings[0].Found
	if !strings.Contains(found, "; your login shell has AWS_PROFILE, which pass_env") || !strings.Contains(found, "this shell has ") ||
		!strings.Contains(found, "ANTHROPIC_AUTH_TOKEN") || strings.Contains(found, "AWS_REGION") || strings.Contains(found, "secret") {
		t.Errorf("got %s", found)
	}
}

// Where there is no room, a command shows on which disk.
func TestFullDiskIsShown(t *testing.T) {
	for free, want := range map[int64]struct{ is, room string }{
		0: {checkFail, "0 B free"}, 1 << 20: {checkFail, "1.0 MiB free"}, 100 << 20: {checkWarn, "100 MiB free"},
	} {
		var d doctor
		d.diskIs("/my state", free, "", false, nil)
		f := d.findings[0]
		if f.Is != want.is || f.Fix != "df -h '/my state'" || !strings.HasPrefix(f.Found, want.room) || !strings.HasSuffix(f.Found, "make room") {
			t.Errorf("%d bytes: got %+v", free, f)
		}
	}
}

// Each machine is told a command that it has.
func TestMissingClaudeIsInstalledWithoutNpm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if fix := installing("claude"); strings.Contains(fix, "npm install") || !strings.Contains(fix, "its own installer") {
		t.Errorf("without npm: %q", fix)
	}
	npm := filepath.Join(os.Getenv("PATH"), "npm")
	if err := os.WriteFile(npm, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if fix := installing("claude"); fix != "npm install -g @anthropic-ai/claude-code" {
		t.Errorf("with npm: %q", fix)
	}
	if fix := installing("other"); fix != "" {
		t.Errorf("another program: %q", fix)
	}
}

// A running daemon may learn only while it examines the teams that its login shell hangs.
func TestDoctorNamesALoginShellOnce(t *testing.T) {
	const hangs = "agents have a plain PATH: the login shell (/bin/sh -lc): no answer within 10s so far"
	for want, warnings := range map[int][]string{1: {"another"}, 0: {"another", hangs + "; run: iris daemon reload"}} {
		var d doctor
		d.loginShell(&ipc.LoginShell{Path: "/bin/sh", Problems: []string{hangs}}, warnings)
		if len(d.findings) != want {
			t.Errorf("beside the warnings %q: got %v", warnings, d.findings)
		}
	}
}

// A team that is to have the MCP server of iris has none without its program.
func TestDoctorLooksForTheServerOfTeams(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, c := range []struct {
		mcp, there bool
		want       int
	}{{false, false, 0}, {true, false, 1}, {true, true, 0}} {
		if c.there {
			if err := os.WriteFile(dir+"/iris-mcp", nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		var d doctor
		d.mcp(&config.Config{Teams: map[string]*config.Team{"a": {MCP: c.mcp}, "b": {MCP: c.mcp}}})
		if len(d.findings) != c.want || c.want > 0 && (d.findings[0].Is != checkWarn || d.findings[0].Fix != "go install ./cmd/...") {
			t.Errorf("%+v: got %+v", c, d.findings)
		}
	}
}
