package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"iris/daemon/agents"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

func wantCode(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	var e *ipc.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want code %d", err, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("message %q does not name %q", e.Message, w)
		}
	}
}

func TestMessageReachesTheBuiltInAgentAndItStaysWarm(t *testing.T) {
	d := startDaemon(t, "")
	for _, msg := range []string{"hello", "two\nlines\r\n", "\u00fc\u4e16\U0001F600 \x7f\u202e \"quoted\" \\ <&>", strings.Repeat("long ", 50_000)} {
		r := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: msg})
		if got := r.Text; got != msg {
			t.Errorf("got %.60q, want %.60q", got, msg)
		}
		if r.Outcome != "success" || r.Team != "echo" || r.ID == "" || r.SessionID == "" {
			t.Errorf("reply lacks something: %+v", r)
		}
	}
	list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{})
	if len(list.Processes) != 1 || list.Processes[0].Messages != 4 || list.Processes[0].State != "idle" {
		t.Errorf("got %+v, want one idle agent with 4 messages", list.Processes)
	}
}

func TestBadMessagesAreRefusedBeforeAnAgentStarts(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\n", gone))
	for _, c := range []struct {
		send  ipc.Send
		code  int
		words string
	}{
		{ipc.Send{Team: "echo", Text: " \n\t"}, ipc.CodeUsage, "blank"},
		{ipc.Send{Team: "apo", Text: "x"}, ipc.CodeNotFound, `no team "apo"`},
		{ipc.Send{Team: "echo", Session: "../x", Text: "x"}, ipc.CodeUsage, "session"},
		{ipc.Send{Team: "echo", Session: "~own", Text: "x"}, ipc.CodeUsage, "session"},
		{ipc.Send{Team: "echo", Text: strings.Repeat("x", agents.MaxMessage+1)}, ipc.CodeUsage, "bytes"},
		{ipc.Send{Team: "api", Text: "x"}, ipc.CodeCannotRun, gone},
	} {
		_, err := call[ipc.Reply](d, ipc.MethodSend, c.send)
		wantCode(t, err, c.code, c.words)
	}
	if list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}); list.Total != 0 {
		t.Errorf("%d agents run, want none", list.Total)
	}
}

func TestMissingProgramIsNamedAtOnce(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, "[teams.api]\ndir = \""+dir+"\"\ncommand = \"no-such-program\"\n")
	_, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "x"})
	wantCode(t, err, ipc.CodeCannotRun, "no-such-program", "api")
	if e, ok := errors.AsType[*ipc.Error](err); !ok || !strings.Contains(e.Hint(), "command") {
		t.Errorf("no remedy: %+v", e.Data)
	}
	if tries := details(d, "process-error"); len(tries) != 1 {
		t.Errorf("it was tried %d times: %q", len(tries), tries)
	}
}

func TestKillEndsTheTurnAndTheNextMessageHasANewAgent(t *testing.T) {
	d := startDaemon(t, "")
	running := make(chan struct{}, 1)
	c := d.client()
	c.OnNotify = func(method string, params json.RawMessage) {
		if strings.Contains(string(params), "running") {
			running <- struct{}{}
		}
	}
	var wg sync.WaitGroup
	var sendErr error
	wg.Go(func() {
		var r ipc.Reply
		sendErr = c.Call(context.Background(), ipc.MethodSend, ipc.Send{Team: "echo", Text: "/sleep 60s"}, &r)
	})
	<-running
	st := mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "echo"})
	wg.Wait()
	wantCode(t, sendErr, ipc.CodeCancelled, "killed", "echo")
	if len(st.Stopped) != 1 {
		t.Errorf("got %+v, want one stopped", st)
	}
	_, err := call[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "echo"})
	wantCode(t, err, ipc.CodeNotFound, "echo")
	if got := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "again"}).Text; got != "again" {
		t.Errorf("got %q", got)
	}
}

func TestClientThatGoesAwayEndsOnlyTheWait(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	gated, open := gate(t)
	ctx, cancel := context.WithCancel(context.Background())
	c := d.client()
	c.OnNotify = func(_ string, params json.RawMessage) {
		if strings.Contains(string(params), "running") {
			cancel()
		}
	}
	err := c.Call(ctx, ipc.MethodSend, ipc.Send{Team: "api", Text: "sleep:@" + gated}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	open()
	eventually(t, "the end of the turn", func() bool {
		list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{})
		return len(list.Processes) == 1 && list.Processes[0].Messages == 1 && list.Processes[0].State == "idle"
	})
}

func TestFreshMessageLeavesNoAgent(t *testing.T) {
	d := startDaemon(t, "")
	first := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "a", Fresh: true})
	second := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "b", Fresh: true})
	if first.SessionID == second.SessionID {
		t.Error("two fresh messages share a conversation")
	}
	eventually(t, "an empty pool", func() bool {
		return mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Total == 0
	})
}

func TestConversationIsKeptOverEviction(t *testing.T) {
	d := startDaemon(t, "")
	first := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Session: "review", Text: "a"})
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "echo", AllSessions: true})
	second := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Session: "review", Text: "b"})
	other := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "c"})
	if first.SessionID != second.SessionID || other.SessionID == first.SessionID {
		t.Errorf("got sessions %s, %s and %s", first.SessionID, second.SessionID, other.SessionID)
	}
}

func TestBadConfigurationKeepsTheOldOne(t *testing.T) {
	d := startDaemon(t, "max_processes = 3\n")
	d.configure("max_processes = \"many\"\n")
	_, err := call[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	wantCode(t, err, ipc.CodeUsage, "config.toml:2:", "max_processes")
	st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{})
	if st.Max != 3 || !strings.Contains(st.ConfigError, "max_processes") {
		t.Errorf("got max %d, error %q", st.Max, st.ConfigError)
	}
	d.configure("max_processes = 2\n")
	if st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}); st.Max != 2 || st.ConfigError != "" {
		t.Errorf("got max %d, error %q", st.Max, st.ConfigError)
	}
}

func TestChangedTeamReplacesItsAgentBetweenTurns(t *testing.T) {
	dir := t.TempDir()
	toml := fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", dir, claudetest.Install(t.TempDir()))
	d := startDaemon(t, toml)
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "a"})
	before := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0]
	d.configure(toml + "env = { A = \"1\" }\n")
	reply := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "b"})
	after := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0]
	if after.PID == before.PID || reply.SessionID != before.SessionID {
		t.Errorf("got pid %d then %d, session %s then %s", before.PID, after.PID, before.SessionID, reply.SessionID)
	}
	if err := os.WriteFile(filepath.Join(dir, "CLAUDE.md"), []byte("be brief"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "c"})
	if last := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0]; last.PID == after.PID {
		t.Error("the agent did not notice its new CLAUDE.md")
	}
}

func TestStopAnswersWhenTheAgentsAreGone(t *testing.T) {
	d := startDaemon(t, "")
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "a"})
	pid := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0].PID
	mustCall[struct{}](d, ipc.MethodStop, ipc.StopParams{})
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Error("the agent lives on")
	}
	d.wg.Wait()
	if _, err := os.Lstat(d.paths.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestLogHoldsNoTextOfMessages(t *testing.T) {
	d := startDaemon(t, "log_level = \"debug\"\n")
	const canary = "canary-5d1f"
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: canary})
	mustCall[struct{}](d, ipc.MethodStop, ipc.StopParams{})
	d.wg.Wait()
	log, err := os.ReadFile(d.paths.Log)
	if err != nil || len(log) == 0 {
		t.Fatalf("no log: %v", err)
	}
	if strings.Contains(string(log), canary) {
		t.Error("the log holds the message")
	}
	if fi, _ := os.Stat(d.paths.Log); fi.Mode().Perm() != 0o600 {
		t.Errorf("the log has mode %v", fi.Mode().Perm())
	}
}

func TestEventsAreNumberedAndStreamed(t *testing.T) {
	d := startDaemon(t, "")
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "a"})
	kept := mustCall[ipc.EventList](d, ipc.MethodEvents, ipc.EventQuery{})
	types := map[string]int{}
	for i, e := range kept.Events {
		types[e.Type]++
		if e.Seq != uint64(i+1) {
			t.Errorf("event %d has number %d", i, e.Seq)
		}
	}
	if types["process-spawned"] != 1 || types["message-sent"] != 1 || types["message-response"] != 1 {
		t.Errorf("got %v", types)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := d.client()
	var got []ipc.Event
	c.OnNotify = func(method string, params json.RawMessage) {
		var e ipc.Event
		if method != ipc.NotifyEvent {
			return
		}
		if err := json.Unmarshal(params, &e); err != nil {
			t.Error(err)
		}
		if got = append(got, e); len(got) == len(kept.Events) {
			cancel()
		}
	}
	if err := c.Call(ctx, ipc.MethodSubscribe, ipc.EventQuery{}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for i, e := range got {
		if e.Seq != kept.Events[i].Seq || e.Type != kept.Events[i].Type {
			t.Errorf("streamed %+v, kept %+v", e, kept.Events[i])
		}
	}
}

func TestCancelTakesBackAWaitingMessageAndInterruptsARunningOne(t *testing.T) {
	d := startDaemon(t, "")
	ids := make(chan string, 8)
	send := func(text string) (wait func() error) {
		c := d.client()
		c.OnNotify = func(_ string, params json.RawMessage) {
			var s ipc.MessageState
			if json.Unmarshal(params, &s) == nil && s.State == "queued" {
				ids <- s.ID
			}
		}
		var err error
		var wg sync.WaitGroup
		wg.Go(func() {
			err = c.Call(context.Background(), ipc.MethodSend, ipc.Send{Team: "echo", Text: text}, nil)
		})
		return func() error { wg.Wait(); return err }
	}
	running := send("/sleep 60s")
	first := <-ids
	eventually(t, "the turn", func() bool {
		p := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes
		return len(p) == 1 && p[0].Message == first
	})
	pid := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0].PID
	waiting := send("never")
	second := <-ids
	if s := mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: second}); s.State != "cancelled" {
		t.Errorf("waiting: got %+v", s)
	}
	wantCode(t, waiting(), ipc.CodeCancelled, "cancelled")
	if s := mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: first}); s.State != "interrupting" {
		t.Errorf("running: got %+v", s)
	}
	wantCode(t, running(), ipc.CodeCancelled, "cancelled")
	_, err := call[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: first})
	wantCode(t, err, ipc.CodeNotFound, first)
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "on"})
	if p := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes; len(p) != 1 || p[0].PID != pid || p[0].Messages != 2 {
		t.Errorf("the agent was not kept: %+v", p)
	}
}

func TestClientThatInsistsOnAnotherConfigurationIsRefused(t *testing.T) {
	d := startDaemon(t, "")
	c, err := ipc.Dial(t.Context(), d.paths.Socket, ipc.Hello{Protocol: ipc.Version, Config: "/elsewhere/config.toml"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantCode(t, c.Call(t.Context(), ipc.MethodSend, ipc.Send{Team: "echo", Text: "x"}, nil), ipc.CodeUsage, "/elsewhere/config.toml", d.paths.Config)
	if list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}); list.Total != 0 {
		t.Error("the call after the refused hello was carried out")
	}
}

// The scripted agent finds a conversation only in the directory where it began, as old
// versions of Claude Code do.
func TestMovedTeamIsToldAndCanBeginAnew(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	fake := claudetest.Install(t.TempDir())
	team := func(dir string) string { return fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", dir, fake) }
	d := startDaemon(t, team(one))
	first := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:a"})
	d.configure(team(two))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	_, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:b"})
	wantCode(t, err, ipc.CodeCannotRun, one, two)
	if e, ok := errors.AsType[*ipc.Error](err); !ok || !strings.Contains(e.Hint(), "iris session reset api") {
		t.Errorf("no remedy: %+v", e.Data)
	}
	if l := mustCall[ipc.ConversationList](d, ipc.MethodSessions, struct{}{}).Conversations; len(l) != 1 || l[0].Team != "api" || l[0].SessionID != first.SessionID {
		t.Errorf("listed %+v, want the one conversation", l)
	}
	if c := mustCall[ipc.Conversation](d, ipc.MethodReset, ipc.Target{Team: "api"}); c.SessionID != first.SessionID || c.Dir != one {
		t.Errorf("forgot %+v, want the first one", c)
	}
	second := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:c"})
	if second.SessionID == first.SessionID {
		t.Error("the conversation is the old one")
	}
	_, err = call[ipc.Conversation](d, ipc.MethodReset, ipc.Target{Team: "api", Session: "never"})
	wantCode(t, err, ipc.CodeNotFound, "api@never")
}

func TestDirectoryWithAnAtSignIsNoSession(t *testing.T) {
	d := startDaemon(t, fmt.Sprintf("command = %q\n", claudetest.Install(t.TempDir())))
	dir := filepath.Join(t.TempDir(), "a")
	mustMkdir(t, dir)
	mustMkdir(t, dir+"@b")
	one := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: dir + "@b", Text: "echo:1"})
	two := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: dir, Session: "b", Text: "echo:2"})
	if one.SessionID == two.SessionID {
		t.Error("two conversations are one")
	}
}
