package claude

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"iris/pool"
)

func TestCommandLineAndEnvironment(t *testing.T) {
	r := fakeRig(t)
	r.o.Args = []string{"--model=x", "--append-system-prompt=a b"}
	r.o.Env = append(r.o.Env, "CLAUDECODE=1", "CLAUDECODE_X=1", "CLAUDE_CODE_RESUME_INTERRUPTED_TURN=1", "IRIS_PROCESS=other", "PWD=/", "A=1", "A=2")
	p := r.start()
	var args []string
	json.Unmarshal([]byte(send(t, p, "args").Text), &args)
	want := []string{"-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose", "--include-partial-messages", "--replay-user-messages", "--session-id=" + r.o.SessionID, "--model=x", "--append-system-prompt=a b"}
	if !reflect.DeepEqual(args, want) {
		t.Errorf("got %q, want %q", args, want)
	}
	var env map[string]string
	json.Unmarshal([]byte(send(t, p, "env").Text), &env)
	for name, want := range map[string]string{
		"IRIS_PROCESS": r.o.ID, "PWD": r.o.Dir, "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1", "DISABLE_AUTOUPDATER": "1", "A": "2",
		"CLAUDECODE": "", "CLAUDECODE_X": "", "CLAUDE_CODE_RESUME_INTERRUPTED_TURN": "",
	} {
		if env[name] != want {
			t.Errorf("%s: got %q, want %q", name, env[name], want)
		}
	}
	ask(t, p, "cwd", r.o.Dir)
	p.Stop()
	p.ResultRecorded()
	json.Unmarshal([]byte(send(t, r.again(), "args").Text), &args)
	if !strings.Contains(strings.Join(args, " "), "--resume="+r.o.SessionID) {
		t.Errorf("second start: %q", args)
	}
}

func TestNoTranscriptIsNeverResumed(t *testing.T) {
	r := fakeRig(t)
	r.o.Transcript = false
	if got := strings.Join(r.o.argv(), " "); !strings.Contains(got, "--session-id=") || strings.Contains(got, "--resume") {
		t.Errorf("got %s", got)
	}
}

// An agent has its three descriptors and no descriptor of another agent.
func TestOnlyThreeDescriptors(t *testing.T) {
	lent := map[string]string{} // to the test itself
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		lent[e.Name()], _ = os.Readlink("/proc/self/fd/" + e.Name())
	}
	r := fakeRig(t)
	r.start()
	r.o.ID, r.o.SessionID = "p2", NewSessionID()
	p := r.start()
	var fds map[string]string
	json.Unmarshal([]byte(send(t, p, "fds").Text), &fds)
	out := spoolOf(p)
	for fd, want := range map[string]string{"0": "pipe:", "1": out, "2": strings.TrimSuffix(out, ".out") + ".err"} {
		if !strings.HasPrefix(fds[fd], want) {
			t.Errorf("%s: got %q, want %q", fd, fds[fd], want)
		}
	}
	for fd, target := range fds {
		if n, _ := strconv.Atoi(fd); n > 2 && target != lent[fd] && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/sys/") {
			t.Errorf("descriptor %s is open: %s", fd, target)
		}
	}
}

// An agent leads a session of its own, so that nothing sent to the daemon's
// terminal or group reaches it.
func TestOwnSession(t *testing.T) {
	p := fakeRig(t).start()
	var got struct{ PID, SID, PGID int }
	json.Unmarshal([]byte(send(t, p, "inherit").Text), &got)
	if got.PID != p.PID() || got.SID != got.PID || got.PGID != got.PID {
		t.Errorf("got %+v, want %d for all", got, p.PID())
	}
}

func TestFilesArePrivate(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	ask(t, p, "echo:hi", "hi")
	dir, err := os.Stat(r.o.Spools)
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", dir.Mode(), err)
	}
	files, _ := os.ReadDir(r.o.Spools)
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(f.Name(), r.o.SessionID+"."+r.o.ID+".") {
			t.Errorf("%s: %v", f.Name(), info.Mode())
		}
	}
	if err := CleanSpools(r.o.Spools, nil); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(files) != 3 || len(left) != 3 {
		t.Errorf("files: %v, and after cleaning %v", files, left)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	text := filepath.Join(dir, "text")
	os.WriteFile(file, nil, 0o644)
	os.WriteFile(text, []byte("no program"), 0o755)
	script := filepath.Join(dir, "script")
	os.WriteFile(script, []byte("#!/no/such/node\n"), 0o755)
	for _, c := range []struct {
		name      string
		change    func(*Options)
		want      string
		permanent bool
	}{
		{"missing", func(o *Options) { o.Command = "no-such-claude" }, `program "no-such-claude" is not on the agents' PATH (`, true},
		{"no directory on the path", func(o *Options) {
			o.Command, o.Env = "no-such-claude", append(o.Env, "PATH="+file+":/bin")
		}, `program "no-such-claude" is not on the agents' PATH (`, true},
		{"missing path", func(o *Options) { o.Command = "/no/such/claude" }, "program /no/such/claude does not exist", true},
		{"relative", func(o *Options) { o.Command = "bin/claude" }, "/bin/claude does not exist", true},
		{"not executable", func(o *Options) { o.Command = file }, "is not executable", true},
		{"directory", func(o *Options) { o.Command = dir }, "is a directory", true},
		{"no program", func(o *Options) { o.Command = text }, "exec format error", true},
		{"no interpreter", func(o *Options) { o.Command = script }, "its interpreter is missing", true},
		{"no directory", func(o *Options) { o.Dir = "/no/such/dir" }, "directory /no/such/dir: no such file", true},
		{"file as directory", func(o *Options) { o.Dir = file }, "is a file", true},
		{"bad session", func(o *Options) { o.SessionID = "x" }, "not a UUID", true},
		{"exits", func(o *Options) { o.Args = []string{"--fake-broken=" + file} }, "exit status 1): fakeclaude: broken on request", false},
		{"bad flag", func(o *Options) { o.Args = []string{"--fake-nonsense"} }, "exit status 1): error:", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fakeRig(t)
			c.change(&r.o)
			_, err := Start(context.Background(), r.o)
			start, ok := errors.AsType[*pool.StartError](err)
			if !ok || start.Permanent != c.permanent || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `start agent for team "api": `) {
				t.Fatalf("got %v", err)
			}
			if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// sameAs returns a Stamp of what now is, which a test may change later.
func sameAs(now *string) Stamp {
	return Stamp{*now, func(then string) string {
		if then != *now {
			return "configuration changed"
		}
		return ""
	}}
}

func TestStale(t *testing.T) {
	r := fakeRig(t)
	md, settings, stamp := filepath.Join(r.o.Dir, "CLAUDE.md"), filepath.Join(r.o.Dir, "settings.json"), "a"
	os.WriteFile(settings, []byte("{}"), 0o644)
	r.o.Watch, r.o.Stamp = []Source{{Path: md}, {Path: settings}}, sameAs(&stamp)
	p := r.start()
	r.o.SessionID = NewSessionID()
	want := func(want string) {
		t.Helper()
		if got := p.Stale(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want("")
	os.WriteFile(md, nil, 0o644)
	want("CLAUDE.md changed")
	os.Remove(md)
	want("")
	os.WriteFile(settings+".new", []byte("{}"), 0o644)
	os.Rename(settings+".new", settings)
	want("settings.json changed")
	same := time.Now().Add(-time.Hour)
	os.Chtimes(settings, same, same)
	q := r.again()
	os.WriteFile(settings+".new", []byte("{}"), 0o644)
	os.Chtimes(settings+".new", same, same)
	os.Rename(settings+".new", settings)
	if got := q.Stale(); got != "settings.json changed" {
		t.Errorf("same size and time: got %q", got)
	}
	stamp = "b"
	want("configuration changed")
	os.Rename(r.o.Dir, r.o.Dir+".old")
	want("directory gone")
	os.WriteFile(r.o.Dir, nil, 0o600)
	want("directory gone")
}
