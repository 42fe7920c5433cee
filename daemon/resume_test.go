package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iris/ipc"
	"iris/pool/claude"
	"iris/pool/claude/claudetest"
)

// realTeam returns a team with the real Claude Code and a stub of the API, and the
// environment of its agents.
func realTeam(t *testing.T, name, dir string, more ...string) (toml string, env []string) {
	t.Helper()
	program := claudetest.Real(t)
	stub := claudetest.NewStub()
	t.Cleanup(stub.Close)
	env = stub.Env(t.TempDir())
	var vars []string
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		vars = append(vars, fmt.Sprintf("%s = %q", name, value))
	}
	return fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\nenv = { %s }\n%s\n",
		name, dir, program, strings.Join(vars, ", "), strings.Join(more, "\n")), env
}

// If a conversation cannot be resumed, the sender gets an error, or a notice that a new one
// was begun.
func TestRealConversationThatCannotBeResumed(t *testing.T) {
	remove := func(path string) { os.Remove(path) }
	garble := func(path string) { os.WriteFile(path, []byte("no JSON\n\x00"), 0o600) }
	for _, c := range []struct {
		name   string
		change func(path string)
		why    string
	}{
		{"gone", remove, "transcript is gone"},
		{"corrupt", garble, "No conversation found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			toml, env := realTeam(t, "api", dir)
			d := startDaemon(t, toml)
			first, err := ask(d, "api", "echo:one")
			if err != nil {
				t.Fatal(err)
			}
			mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
			path, _ := claude.Transcript(env, first.SessionID)
			if path == "" {
				t.Fatal("no transcript")
			}
			c.change(path)
			_, err = ask(d, "api", "count")
			wantCode(t, err, ipc.CodeCannotRun, first.SessionID, c.why)

			d.configure(toml + "\non_resume_failure = \"fresh\"\n")
			mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
			r, err := ask(d, "api", "count")
			if err != nil || r.Text != "1" || r.SessionID == first.SessionID {
				t.Fatalf("got %s of %s, %v", r.Text, r.SessionID, err)
			}
			if !strings.Contains(r.Notice, "a new conversation was begun") || !strings.Contains(r.Notice, c.why) {
				t.Errorf("notice: %q", r.Notice)
			}
			again := mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: r.ID})
			if next, err := ask(d, "api", "count"); err != nil || next.Text != "2" || next.Notice != "" || again.Notice != r.Notice {
				t.Errorf("got %s, %q, %v; again %q", next.Text, next.Notice, err, again.Notice)
			}
		})
	}
}

// If the directory of a team changes, the conversation goes on in the new directory. If the
// program does not find it there, the error names the old directory.
func TestRealConversationThatMoves(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	toml, env := realTeam(t, "api", one, `args = ["--allowedTools=Bash"]`)
	d := startDaemon(t, toml)
	first, err := ask(d, "api", "echo:one")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := claude.Transcript(env, first.SessionID)
	d.configure(strings.Replace(toml, one, two, 1))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	second, err := ask(d, "api", `tool:Bash:{"command":"pwd","description":"d"}`)
	if err != nil {
		wantCode(t, err, ipc.CodeCannotRun, first.SessionID, one, two, "No conversation found")
		return
	}
	if !strings.Contains(second.Text, filepath.Base(two)) || second.SessionID != first.SessionID {
		t.Errorf("got %s of %s, first %s", second.Text, second.SessionID, first.SessionID)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
	third, err := ask(d, "api", "count")
	if after, _ := claude.Transcript(env, first.SessionID); err != nil || third.Text != "3" || after != before {
		t.Errorf("got %s, %v; transcript %s, then %s", third.Text, err, before, after)
	}
	if l := mustCall[ipc.ConversationList](d, ipc.MethodSessions, struct{}{}).Conversations; len(l) != 1 || l[0].Dir != two {
		t.Errorf("listed %+v", l)
	}
}

// If the directory of a team is a link that is moved, the agent is replaced, and the
// conversation goes on in the new place. If the program does not find it there, the error
// names both places.
func TestRealConversationWhoseLinkMoves(t *testing.T) {
	one, two, link := realPath(t, t.TempDir()), realPath(t, t.TempDir()), filepath.Join(t.TempDir(), "current")
	point := func(to string) {
		t.Helper()
		os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	point(one)
	toml, _ := realTeam(t, "api", link, `args = ["--allowedTools=Bash"]`)
	d := startDaemon(t, toml)
	first, err := ask(d, "api", "echo:one")
	if err != nil {
		t.Fatal(err)
	}
	point(two)
	second, err := ask(d, "api", `tool:Bash:{"command":"pwd -P","description":"d"}`)
	if err != nil {
		wantCode(t, err, ipc.CodeCannotRun, first.SessionID, "it was in "+one+", and "+link+" leads to "+two+" now", "No conversation found")
		return
	}
	if !strings.Contains(second.Text, two) || second.SessionID != first.SessionID {
		t.Errorf("got %s of %s, first %s", second.Text, second.SessionID, first.SessionID)
	}
}

func realPath(t *testing.T, dir string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

// Claude Code itself does not prevent two processes with one conversation.
func TestRealConversationThatAnotherProcessHasOpen(t *testing.T) {
	dir := t.TempDir()
	toml, env := realTeam(t, "api", dir)
	d := startDaemon(t, toml)
	first, err := ask(d, "api", "echo:one")
	if err != nil {
		t.Fatal(err)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})

	other := exec.Command(claudetest.Real(t), "-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose", "--resume="+first.SessionID)
	other.Dir, other.Env = dir, env
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, `{"type":"control_request","request_id":"r","request":{"subtype":"initialize"}}`+"\n")
	var home string
	for _, v := range env {
		if h, ok := strings.CutPrefix(v, "HOME="); ok {
			home = h
		}
	}
	file := filepath.Join(home, ".claude", "sessions", fmt.Sprint(other.Process.Pid)+".json")
	eventually(t, "its note", func() bool { b, _ := os.ReadFile(file); return strings.Contains(string(b), first.SessionID) })

	_, err = ask(d, "api", "count")
	wantCode(t, err, ipc.CodeFull, first.SessionID, fmt.Sprint(other.Process.Pid))
	in.Close()
	other.Wait()
	if r, err := ask(d, "api", "count"); err != nil || r.Text != "2" {
		t.Errorf("after it left: %s, %v", r.Text, err)
	}
}

// If the directory of a warm agent was removed, a message gets the same error as if the agent
// had to be started, and no turn runs. When the directory is back, the conversation goes on.
func TestRealDirectoryThatVanishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "project")
	mustMkdir(t, dir)
	toml, _ := realTeam(t, "api", dir)
	vanishing(t, startDaemon(t, toml), dir)
}

func TestDirectoryThatVanishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "project")
	mustMkdir(t, dir)
	vanishing(t, startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", dir, claudetest.Install(t.TempDir()))), dir)
}

func vanishing(t *testing.T, d *testDaemon, dir string) {
	t.Helper()
	want := func(message, answer string) {
		t.Helper()
		if r, err := ask(d, "api", message); err != nil || r.Text != answer {
			t.Fatalf("%s: got %s, %v, want %s", message, r.Text, err, answer)
		}
	}
	want("echo:one", "one")
	for range 2 {
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		for range 2 { // with a warm agent, and without
			_, err := ask(d, "api", "echo:nowhere")
			wantCode(t, err, ipc.CodeCannotRun, "team api: directory "+dir+" does not exist")
			if e, ok := errors.AsType[*ipc.Error](err); ok && !strings.Contains(e.Hint(), "put it back") {
				t.Errorf("no remedy: %q", e.Hint())
			}
		}
		mustMkdir(t, dir)
		want("echo:there", "there")
	}
	want("count", "4")

	// Another directory in its place is good enough, and the agent stays.
	before := mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0].ID
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	mustMkdir(t, dir)
	want("count", "5")
	if now := mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0].ID; now != before {
		t.Errorf("agent %s, before %s", now, before)
	}
}

// Nothing is lost with a conversation in which the model was never asked. If its agent is
// killed right after /clear, the next message begins anew, and nobody is told of a loss.
func TestKilledAfterClear(t *testing.T) {
	killedAfterClear(t, startDaemon(t, fakeTeam(t, "api", `args = ["--fake-old", "--fake-late=1h"]`)))
}

func TestRealKilledAfterClear(t *testing.T) {
	toml, _ := realTeam(t, "api", t.TempDir())
	killedAfterClear(t, startDaemon(t, toml))
}

func killedAfterClear(t *testing.T, d *testDaemon) {
	for _, text := range []string{"echo:one", "/clear"} {
		if _, err := ask(d, "api", text); err != nil {
			t.Fatal(err)
		}
	}
	p := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0]
	syscall.Kill(p.PID, syscall.SIGKILL)
	eventually(t, "its end", func() bool { return mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Total == 0 })
	r, err := ask(d, "api", "dump")
	if err != nil || strings.Contains(r.Text, "one") || r.Notice != "" {
		t.Errorf("got %q, notice %q, %v", r.Text, r.Notice, err)
	}
}

// An answer that Claude Code cannot keep carries a notice with the cause. Further answers of
// the conversation do not repeat it, those of a new one do.
func TestUnkeptConversationIsNoticed(t *testing.T) {
	dir, conf := t.TempDir(), t.TempDir()
	project := filepath.Dir(claudetest.TranscriptPath(conf, dir, "x"))
	mustMkdir(t, filepath.Dir(project))
	if err := os.WriteFile(project, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\nenv = { CLAUDE_CONFIG_DIR = %q }\n", dir, claudetest.Install(t.TempDir()), conf))
	notice := func(session string) string {
		t.Helper()
		r, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Session: session, Text: "echo:x", Fresh: session == "fresh"})
		if err != nil || r.Text != "x" {
			t.Fatal(r.Text, err)
		}
		again := mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: r.ID})
		if again.Notice != r.Notice {
			t.Errorf("noticed %q, and afterwards %q", r.Notice, again.Notice)
		}
		return r.Notice
	}
	want := "team api: this conversation is not being kept: " + project + " is a file"
	if first, second := notice(""), notice(""); first != want || second != "" {
		t.Errorf("got %q, then %q, want %q once", first, second, want)
	}
	mustCall[ipc.Conversation](d, ipc.MethodReset, ipc.Target{Team: "api"})
	if n := notice(""); n != want {
		t.Errorf("of a new conversation: %q", n)
	}
	if n := notice("fresh"); n != "" {
		t.Errorf("of a conversation that nobody resumes: %q", n)
	}
}
