package agents

import (
	"os"
	"syscall"
	"testing"

	"iris/config"
)

// Only of a program that was there once does a start wait for its return.
func TestBuiltInAgentIsNoRunOfClaudeCode(t *testing.T) {
	s, echo, api := new(Supervisor), &config.Team{Agent: "echo"}, &config.Team{Agent: "claude"}
	echo.Command, api.Command = []string{"claude"}, []string{"claude"}
	if s.noteRan(echo); s.hasRun(api) {
		t.Error("a turn of the built-in agent counts as a run of Claude Code")
	}
	if s.noteRan(api); !s.hasRun(api) {
		t.Error("a run of Claude Code does not count")
	}
}

// The settings of inotify are named only on a system that has them.
func TestPollWarning(t *testing.T) {
	linux := t.TempDir()
	if err := os.MkdirAll(linux+"/fs/inotify", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(linux+"/fs/inotify/max_user_instances", []byte("128\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, sysctls string
		err           error
		want          string
	}{
		{"Linux", linux, syscall.EMFILE, "the output of agents is polled, since other programs of this user have used up inotify (fs.inotify.max_user_instances = 128); run: sudo sysctl fs.inotify.max_user_instances=512 && iris daemon restart"},
		{"macOS", t.TempDir(), syscall.EMFILE, "the output of agents cannot be watched, so that it is polled: too many open files"},
		{"another reason", linux, syscall.EPERM, "the output of agents cannot be watched, so that it is polled: operation not permitted"},
	} {
		if got := pollWarning(tt.sysctls, tt.err); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
