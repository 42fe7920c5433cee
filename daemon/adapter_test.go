package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/daemon/conversation"
	"iris/ipc"
	"iris/pool/adapter/adaptertest"
)

// acpTeam returns the configuration of a team whose program speaks the Agent Client
// Protocol.
func acpTeam(t *testing.T, dir string, modes ...string) string {
	t.Helper()
	return fmt.Sprintf("stop_grace = \"2s\"\n[teams.api]\ndir = %q\nagent = \"acp\"\ncommand = %s\n",
		dir, strings.ReplaceAll(fmt.Sprintf("%q", adaptertest.Command(modes...)), `" "`, `", "`))
}

func TestProgramBehindAnAdapter(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, acpTeam(t, dir))
	first, err := ask(d, "api", "one\ncost:0.25")
	if err != nil || first.Text != "one" || first.CostUSD != 0.25 || first.Usage.Input != 7 {
		t.Fatalf("got %+v, %v", first, err)
	}
	two, err := ask(d, "api", "two")
	if err != nil || two.Text != "two" || two.CostUSD != 0 || two.SessionID != first.SessionID {
		t.Errorf("got %+v, %v", two, err)
	}
	if mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"}); conversationsIn(t, dir) != 1 {
		t.Error("not one conversation before the eviction")
	}
	if three, err := ask(d, "api", "three\ncost:1"); err != nil || three.Text != "three" || three.CostUSD != 0.75 || conversationsIn(t, dir) != 1 {
		t.Errorf("got %+v, %v, %d conversations", three, err, conversationsIn(t, dir))
	}
	fresh := submit(d, ipc.Send{Team: "api", Text: "alone", Fresh: true})
	if awaitEnd(d, fresh.ID); answer(d, fresh.ID) != "alone" || conversationsIn(t, dir) != 2 {
		t.Errorf("got %q, %d conversations", answer(d, fresh.ID), conversationsIn(t, dir))
	}
	if kept, _ := filepath.Glob(filepath.Join(d.paths.State, conversation.Adapters, "*")); len(kept) != 1 {
		t.Errorf("kept %v", kept)
	}
}

// conversationsIn counts the conversations that the program has begun in its directory.
func conversationsIn(t *testing.T, dir string) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "fake_*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestProgramThatCannotGoOn(t *testing.T) {
	for _, mode := range []string{"forgets", "new"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			d := startDaemon(t, acpTeam(t, dir, mode))
			if _, err := ask(d, "api", "one"); err != nil {
				t.Fatal(err)
			}
			mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
			_, err := ask(d, "api", "two")
			wantCode(t, err, ipc.CodeCannotRun, "No conversation found")
			d.configure(acpTeam(t, dir, mode) + "on_resume_failure = \"fresh\"\n")
			mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
			r, err := ask(d, "api", "three")
			if err != nil || r.Text != "three" || !strings.Contains(r.Notice, "a new conversation was begun") {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestRecordOfAnAdapterIsLost(t *testing.T) {
	d := startDaemon(t, acpTeam(t, t.TempDir()))
	if _, err := ask(d, "api", "one"); err != nil {
		t.Fatal(err)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
	if err := os.RemoveAll(filepath.Join(d.paths.State, conversation.Adapters)); err != nil {
		t.Fatal(err)
	}
	_, err := ask(d, "api", "two")
	wantCode(t, err, ipc.CodeCannotRun, "No conversation found: iris does not know its id")
}

func TestOutcomesBehindAnAdapter(t *testing.T) {
	d := startDaemon(t, acpTeam(t, t.TempDir()))
	for _, c := range []struct{ say, outcome, words string }{
		{"error:-32000:no login", "not-logged-in", "no login"},
		{"error:-32603:quota exceeded", "rate-limited", "quota"},
		{"error:-32603:the status 400", "api-error", "status 400"},
		{"error:-32603:odd", "api-error", "odd"},
		{"ask:rm x", "denied", ""},
		{"half\nstop:max_tokens", "incomplete", "cut off"},
		{"stop:max_turn_requests", "limit", ""},
		{"stop:refusal", "failed", "refuses"},
		{"stop:odd", "failed", "odd"},
		{"half\nexit:3", "incomplete", "that was too much"},
		{"big:50", "incomplete", "32 MB"},
		{"again", "success", ""},
	} {
		m := submit(d, ipc.Send{Team: "api", Text: c.say})
		awaitEnd(d, m.ID)
		r, err := call[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: m.ID})
		if err != nil {
			t.Fatalf("%s: %v", c.say, err)
		}
		if r.Outcome != c.outcome || !strings.Contains(r.Error, c.words) {
			t.Errorf("%s: got %s, %q", c.say, r.Outcome, r.Error)
		}
	}
}

func TestCancelBehindAnAdapter(t *testing.T) {
	d := startDaemon(t, acpTeam(t, t.TempDir()))
	for _, say := range []string{"hang", "part\ndeaf"} {
		m := submit(d, ipc.Send{Team: "api", Text: say})
		eventually(t, "the turn", func() bool { return show(d, m.ID).State == "running" })
		mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: m.ID})
		if end := awaitEnd(d, m.ID); end.State != "cancelled" {
			t.Errorf("%s: got %+v", say, end)
		}
	}
	if r, err := ask(d, "api", "after"); err != nil || r.Text != "after" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestApprovalBehindAnAdapter(t *testing.T) {
	d := startDaemon(t, acpTeam(t, t.TempDir())+"approvals = \"ask\"\n")
	for _, yes := range []bool{true, false} {
		m := submit(d, ipc.Send{Team: "api", Text: "ask:make x"})
		a := awaitApproval(d, m.ID)
		if a.Tool != "execute" || !strings.Contains(string(a.Input), "make x") {
			t.Errorf("got %+v", a)
		}
		mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: yes})
		r := replyTo(d, m.ID)
		if want := map[bool]string{true: "8", false: "7"}[yes]; !strings.Contains(r.Text, `"optionId":"`+want+`"`) || (r.Outcome == "success") != yes {
			t.Errorf("got %+v", r)
		}
	}
}

func TestStreamOfATurnBehindAnAdapter(t *testing.T) {
	d := startDaemon(t, acpTeam(t, t.TempDir()))
	for partial, want := range map[bool]string{
		false: "system assistant assistant user assistant result",
		true:  "system stream_event assistant assistant user stream_event assistant result",
	} {
		s, client := new(streamed), d.client()
		client.OnNotify = s.notify
		var r ipc.Reply
		if err := client.Call(t.Context(), ipc.MethodSend, ipc.Send{Team: "api", Text: "first\ntool:ls\nlast", Stream: true, Partial: partial}, &r); err != nil {
			t.Fatal(err)
		}
		if got := s.types(); got != want || r.Text != "last" {
			t.Errorf("got %s, %q", got, r.Text)
		}
	}
}

func TestProgramThatIsNotReadyBehindAnAdapter(t *testing.T) {
	for _, c := range []struct{ mode, words string }{
		{"version2", "speaks version 2 of the Agent Client Protocol"},
		{"mute", "is not ready after 3.6s"},
		{"other", "initialize: method not found"},
		{"early", "exited (exit status 3): cannot work here"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			d := startDaemon(t, acpTeam(t, t.TempDir(), c.mode)+"start_timeout = \"4s\"\n")
			_, err := ask(d, "api", "hello")
			wantCode(t, err, ipc.CodeCannotRun, c.words)
		})
	}
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\nagent = \"codex\"\ncommand = \"/no/such/codex\"\n", t.TempDir()))
	_, err := ask(d, "api", "hello")
	wantCode(t, err, ipc.CodeCannotRun, "program /no/such/codex does not exist")
}

func TestServerOfIrisForAProgramBehindAnAdapter(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, acpTeam(t, dir)+"mcp = true\n")
	r, err := ask(d, "api", "servers")
	for _, want := range []string{`[{"name":"iris","command":"/`, `"mcp"],"env":[`, `{"name":"IRIS_TEAM","value":"api"}`, `{"name":"IRIS_PROCESS","value":"`, `{"name":"IRIS_SOCKET","value":"` + d.paths.Socket} {
		if err != nil || !strings.Contains(r.Text, want) {
			t.Errorf("got %s, %v, want %s", r.Text, err, want)
		}
	}
	d.configure(acpTeam(t, dir))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if r, err := ask(d, "api", "servers"); err != nil || r.Text != "[]" {
		t.Errorf("got %s, %v: the team does not want it any more", r.Text, err)
	}
}
