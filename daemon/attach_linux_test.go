package daemon

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"iris/config/sys/systest"
	"iris/ipc"
	"iris/pool/adapter/adaptertest"
	"iris/pool/claude/claudetest"
	"iris/pool/procs"
)

// sitting is a daemon with a team "api" of the scripted agent, in whose conversation the test
// sits down. The program of the terminal is a process that sleeps.
type sitting struct {
	*testDaemon
	program *exec.Cmd
}

func newSitting(t *testing.T) *sitting {
	t.Helper()
	toml := fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", t.TempDir(), claudetest.Install(t.TempDir()))
	return &sitting{testDaemon: startDaemon(t, toml)}
}

// sitsDown attaches to the conversation, and reports a program with these more variables.
func (s *sitting) sitsDown(env ...string) ipc.Terminal {
	s.t.Helper()
	term := mustCall[ipc.Terminal](s.testDaemon, ipc.MethodAttach, ipc.Attach{Team: "api"})
	s.program = exec.Command("sleep", "1000")
	s.program.Env = append(term.Env, env...)
	if err := s.program.Start(); err != nil {
		s.t.Fatal(err)
	}
	program := s.program
	s.t.Cleanup(func() { program.Process.Kill(); program.Wait() })
	mustCall[struct{}](s.testDaemon, ipc.MethodAttached, ipc.Attached{ID: term.ID, PID: program.Process.Pid})
	return term
}

// leaves ends the program.
func (s *sitting) leaves() {
	s.program.Process.Kill()
	s.program.Wait()
}

// held says what a message of the conversation waits for.
func (s *sitting) held(id string) string { return show(s.testDaemon, id).Error }

func (s *sitting) goesOn(id string) {
	s.t.Helper()
	eventually(s.t, "the message that waited", func() bool { return show(s.testDaemon, id).State == "done" })
}

const waitsForTerminal = "held: it waits for somebody to leave the conversation (iris attach, pid "

func TestTerminalHoldsItsConversation(t *testing.T) {
	s := newSitting(t)
	mustCall[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:one"})
	term := s.sitsDown()
	if l := mustCall[ipc.ProcessList](s.testDaemon, ipc.MethodList, struct{}{}); l.Total > 0 {
		t.Errorf("the agent is still there: %+v", l.Processes)
	}
	if g := why(s.testDaemon, ipc.WhyQuery{Team: "api"}).Team.Gone; len(g) != 1 || g[0].Why != "iris attach" {
		t.Errorf("why the agent went: %+v", g)
	}
	if want := "--resume=" + term.SessionID; !slices.Contains(term.Args, want) || slices.Contains(term.Args, "-p") {
		t.Errorf("arguments %q, want %s", term.Args, want)
	}
	if !slices.Contains(term.Env, procs.EnvProcess+"="+term.ID) || slices.ContainsFunc(term.Env, func(v string) bool { return strings.HasPrefix(v, procs.EnvState) }) {
		t.Errorf("environment %q: want the mark, and not that of an agent's processes", term.Env)
	}
	_, err := call[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:no", IfBusy: "fail"})
	wantCode(t, err, ipc.CodeFull, "busy")
	id := submit(s.testDaemon, ipc.Send{Team: "api", Text: "echo:two"}).ID
	if got := s.held(id); got != waitsForTerminal+strconv.Itoa(os.Getpid())+")" {
		t.Errorf("got %q", got)
	}
	if list := mustCall[ipc.ConversationList](s.testDaemon, ipc.MethodSessions, struct{}{}).Conversations; list[0].Attached != os.Getpid() {
		t.Errorf("got %+v", list)
	}
	for _, m := range []string{ipc.MethodReset, ipc.MethodRewind} {
		_, err := call[ipc.Conversation](s.testDaemon, m, ipc.Target{Team: "api"})
		wantCode(t, err, ipc.CodeFull, "in a terminal")
	}
	_, err = call[ipc.ConversationList](s.testDaemon, ipc.MethodMove, ipc.Move{From: "api", To: "web"})
	wantCode(t, err, ipc.CodeFull, "in a terminal")
	if end := mustCall[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Session: "other", Text: "echo:x"}); end.Text != "x" {
		t.Errorf("another session: %+v", end)
	}
	s.leaves()
	s.goesOn(id)
}

// Only the conversation of the program ends with it: a hold for another reason stays.
func TestTerminalLeavesOtherHoldsAlone(t *testing.T) {
	s := newSitting(t)
	_, err := call[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Text: "crash:mid", OnUnknown: "hold"})
	wantCode(t, err, ipc.CodeUnknown)
	unknown := mustCall[ipc.MessageList](s.testDaemon, ipc.MethodMessages, ipc.MessageQuery{States: []string{"unknown"}}).Messages[0].ID
	s.sitsDown()
	id := submit(s.testDaemon, ipc.Send{Team: "api", Text: "echo:two"}).ID
	mustCall[ipc.MessageState](s.testDaemon, ipc.MethodResolve, ipc.Resolve{ID: unknown, State: "done"})
	if got := s.held(id); !strings.HasPrefix(got, waitsForTerminal) {
		t.Errorf("resolved, but in a terminal: %q", got)
	}
	s.leaves()
	s.goesOn(id)

	_, err = call[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Text: "crash:mid", OnUnknown: "hold"})
	wantCode(t, err, ipc.CodeUnknown)
	s.sitsDown()
	id = submit(s.testDaemon, ipc.Send{Team: "api", Text: "echo:three"}).ID
	s.leaves()
	eventually(t, "the other hold", func() bool { return strings.HasPrefix(s.held(id), "held: it waits for somebody to resolve message ") })
}

// The next daemon holds the conversation before any message goes on, and releases it.
func TestTerminalOutlivesTheDaemon(t *testing.T) {
	s := newSitting(t)
	s.sitsDown()
	id := submit(s.testDaemon, ipc.Send{Team: "api", Text: "echo:two"}).ID
	s.stop()
	s.run()
	if got := s.held(id); !strings.HasPrefix(got, waitsForTerminal) {
		t.Errorf("the next daemon: %q", got)
	}
	s.stop()
	s.leaves()
	s.run()
	s.goesOn(id)
}

// A program that changed to another session leaves the conversation there, unless that is the
// conversation of another team.
func TestConversationFollowsTheProgram(t *testing.T) {
	s := newSitting(t)
	mustCall[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Session: "other", Text: "echo:x"})
	mustCall[ipc.Reply](s.testDaemon, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:one"})
	_, before := conversations(s.testDaemon)
	const cleared = "5f6b2a4e-3c1d-4b8a-9e7f-2d1c0b9a8e7d"
	for _, c := range []struct{ to, want string }{{before["api other"], before["api "]}, {cleared, cleared}} {
		term := s.sitsDown()
		dir := filepath.Join(os.Getenv("HOME"), ".claude", "sessions")
		mustMkdir(t, dir)
		pid := procs.Identify(s.program.Process.Pid)
		file := fmt.Sprintf(`{"pid":%d,"sessionId":%q,"procStart":"%d"}`, pid.PID, c.to, pid.Start)
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(pid.PID)+".json"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		mustCall[struct{}](s.testDaemon, ipc.MethodAttached, ipc.Attached{ID: term.ID, PID: pid.PID}) // has the daemon look
		s.leaves()
		id := submit(s.testDaemon, ipc.Send{Team: "api", Text: "echo:two"}).ID
		s.goesOn(id)
		if _, now := conversations(s.testDaemon); now["api "] != c.want {
			t.Errorf("changed to %s: the conversation is %s, want %s", c.to, now["api "], c.want)
		}
	}
}

// A client that is gone before it has started its program holds nothing.
func TestTerminalOfAClientThatIsGone(t *testing.T) {
	systest.Needs(t, "socat")
	s := newSitting(t)
	client := exec.Command("socat", "-", "UNIX-CONNECT:"+s.paths.Socket)
	client.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"session.attach","params":{"team":"api"}}` + "\n")
	out, err := client.StdoutPipe()
	if err == nil {
		err = client.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); !strings.Contains(line, `"--session-id=`) {
		t.Errorf("got %s", line)
	}
	id := submit(s.testDaemon, ipc.Send{Team: "api", Text: "echo:one"}).ID
	if got := s.held(id); got != waitsForTerminal+strconv.Itoa(client.Process.Pid)+")" {
		t.Errorf("got %q", got)
	}
	client.Process.Kill()
	client.Wait()
	s.goesOn(id)
}

func TestTerminalOfAProgramBehindAnAdapter(t *testing.T) {
	_, err := call[ipc.Terminal](startDaemon(t, acpTeam(t, t.TempDir())), ipc.MethodAttach, ipc.Attach{Team: "api"})
	wantCode(t, err, ipc.CodeUsage, "which has no program for a terminal")

	dir, program := t.TempDir(), filepath.Join(t.TempDir(), "opencode")
	command := adaptertest.Command()
	if err := os.Symlink(command[0], program); err != nil {
		t.Fatal(err)
	}
	s := &sitting{testDaemon: startDaemon(t, strings.Replace(acpTeam(t, dir), command[0], program, 1))}
	_, err = call[ipc.Terminal](s.testDaemon, ipc.MethodAttach, ipc.Attach{Team: "api"})
	wantCode(t, err, ipc.CodeNotFound, "team api has no conversation yet")
	first, err := ask(s.testDaemon, "api", "one")
	if err != nil {
		t.Fatal(err)
	}
	own, _ := filepath.Glob(filepath.Join(dir, "fake_*"))
	term := s.sitsDown()
	if want := []string{program, "--session", filepath.Base(own[0])}; !slices.Equal(term.Args, want) || term.Path != program || term.Dir != dir || term.SessionID != first.SessionID {
		t.Errorf("got %+v, want %q", term, want)
	}
	if !slices.Contains(term.Env, procs.EnvProcess+"="+term.ID) {
		t.Errorf("environment %q: want the mark", term.Env)
	}
	fork := mustCall[ipc.Terminal](s.testDaemon, ipc.MethodAttach, ipc.Attach{Team: "api", Fork: true})
	if fork.ID != "" || !slices.Equal(fork.Args, append(slices.Clone(term.Args), "--fork")) {
		t.Errorf("got %+v", fork)
	}
	id := submit(s.testDaemon, ipc.Send{Team: "api", Text: "two"}).ID
	if got := s.held(id); !strings.HasPrefix(got, waitsForTerminal) {
		t.Errorf("got %q", got)
	}
	s.leaves()
	s.goesOn(id)
	if r := replyTo(s.testDaemon, id); r.SessionID != first.SessionID || r.Text != "two" || r.Notice != "" || conversationsIn(t, dir) != 1 {
		t.Errorf("got %+v", r)
	}
}
