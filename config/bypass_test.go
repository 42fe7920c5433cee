package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestBypassIsFoundInArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--model", "opus", "--permission-mode", "acceptEdits"}, ""},
		{[]string{"--dangerously-skip-permissions"}, "--dangerously-skip-permissions"},
		{[]string{"--model", "opus", "--dangerously-skip-permissions=true"}, "--dangerously-skip-permissions"},
		{[]string{"--permission-mode", "bypassPermissions"}, "--permission-mode bypassPermissions"},
		{[]string{"--permission-mode=bypassPermissions"}, "--permission-mode bypassPermissions"},
		{[]string{"--permission-mode"}, ""},
		{[]string{"--settings", `{"permissions":{"defaultMode":"bypassPermissions"}}`}, "--settings with bypassPermissions"},
		{[]string{`--settings={"permissions":{"defaultMode":"plan"}}`}, ""},
		{[]string{"--settings=/nowhere"}, ""},
		{[]string{"--append-system-prompt", "never bypassPermissions"}, ""},
	} {
		if got := (&Team{Agent: "claude", Settings: Settings{Args: c.args}}).Bypass(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
	for arg, want := range map[string]bool{"--allow-dangerously-skip-permissions": true, "--permission-mode=bypassPermissions": true, "--permission-mode=plan": false} {
		if got := (&Team{Agent: "claude", Settings: Settings{Args: []string{arg}}}).MayBypass(); got != want {
			t.Errorf("%s: may bypass: %v", arg, got)
		}
	}
	if got := (&Team{Agent: "echo", Settings: Settings{Args: []string{"--dangerously-skip-permissions"}}}).BypassFound(); got != "" {
		t.Errorf("echo: got %q", got)
	}
}

func TestBypassIsFoundInSettings(t *testing.T) {
	home, dir, own := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	team := &Team{Agent: "claude", Dir: dir}
	for _, file := range []string{
		filepath.Join(home, ".claude", "settings.json"), filepath.Join(dir, ".claude", "settings.json"), filepath.Join(dir, ".claude", "settings.local.json"),
	} {
		if got := team.BypassFound(); got == file {
			t.Errorf("%s is not there and was found", file)
		}
		mustMkdir(t, filepath.Dir(file))
		mustWrite(t, file, `{"permissions":{"allow":["Bash(ls)"],"defaultMode":"bypassPermissions"}}`)
		if got := team.BypassFound(); got != file {
			t.Errorf("got %q, want %q", got, file)
		}
	}
	mustDo(t, os.RemoveAll(filepath.Join(dir, ".claude")))
	pipe, full, err := os.Pipe()
	mustDo(t, err)
	defer pipe.Close()
	_, err = full.WriteString(`{"permissions":{"defaultMode":"bypassPermissions"}}`)
	mustDo(t, errors.Join(err, full.Close()))
	if arg := fmt.Sprintf("--settings=/dev/fd/%d", pipe.Fd()); (&Team{Agent: "claude", Settings: Settings{Args: []string{arg}}}).Bypass() != "" {
		t.Error("a pipe was read")
	}
	team.Env = map[string]string{"CLAUDE_CONFIG_DIR": own}
	if got := team.BypassFound(); got != "" {
		t.Errorf("got %q", got)
	}
}
