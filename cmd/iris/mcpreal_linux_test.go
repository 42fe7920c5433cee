package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
	"iris/ipc"
)

var buildMCP = sync.OnceValues(func() ([]byte, error) {
	iris, err := exec.LookPath("iris")
	if err != nil {
		return nil, err
	}
	return exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(iris), "iris-mcp"), "iris/cmd/iris-mcp").CombinedOutput()
})

// needMCP puts iris-mcp beside iris.
func needMCP(t *testing.T) {
	t.Helper()
	systest.Needs(t, "go")
	if out, err := buildMCP(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// newAsking is an inn with real agents that may write to each other.
func newAsking(t *testing.T, toml string, teams ...string) *deciding {
	t.Helper()
	r := newReal(t)
	needMCP(t)
	d := &deciding{inn: newInn(t, "")}
	for _, name := range teams {
		toml += "\n" + strings.Replace(r.team(d.house, name, d.mkdir(name)), "\n", "\nmcp = true\nargs = [\"--allowedTools=Bash\"]\n", 1)
	}
	d.configure(toml)
	d.run("daemon", "reload")
	return d
}

// asks is a text that has an agent send another team a message; with a wait, it is for so long.
func asks(to, text string, wait ...string) string {
	input := map[string]string{"to": to, "message": text}
	if len(wait) > 0 {
		input["wait"] = wait[0]
	}
	return calls("send_message", input)
}

// calls is a text that has an agent call a tool of iris.
func calls(tool string, input any) string {
	b, err := json.Marshal(input)
	if err != nil {
		panic(err)
	}
	return "tool:mcp__iris__" + tool + ":" + string(b)
}

// said checks the answer of an agent that has called a tool.
func (d *deciding) said(answer string, wants ...string) {
	d.t.Helper()
	for _, want := range wants {
		if !strings.Contains(strings.ReplaceAll(answer, `\`, ""), want) {
			d.t.Errorf("got %s, want %s", answer, want)
		}
	}
}

// A turn of a asks b, which asks c, and the answer comes back through both.
func TestRealAgentsAskEachOther(t *testing.T) {
	t.Parallel()
	d := newAsking(t, "", "a", "b", "c")
	answer := d.ask("a", asks("b", asks("c", "echo:the answer of c")))
	d.said(answer, "the answer of c", `"state":"done"`)
	a, b, c := d.lastOf("a", ""), d.lastOf("b", ""), d.lastOf("c", "")
	if a.Depth != 0 || b.From != "a" || b.FromMessage != a.ID || b.Depth != 1 || c.From != "b" || c.FromMessage != b.ID || c.Depth != 2 || c.Origin != "mcp" {
		t.Errorf("got %+v\n%+v\n%+v", a, b, c)
	}
	d.said(d.ask("a", calls("list_teams", struct{}{})), `"you":"a"`, `"name":"b"`, `"name":"c"`)
	d.said(d.ask("a", calls("get_result", map[string]string{"id": c.ID})), "the answer of c")
	d.said(d.ask("a", calls("list_messages", struct{}{})), b.ID, `"from":"a"`)
	d.said(d.ask("a", calls("cancel_message", map[string]string{"id": c.ID})), "you have not sent the message")
	// What the team allows by its own arguments stays allowed.
	d.said(d.ask("a", `tool:Bash:{"command":"echo from bash","description":"d"}`), "tool said: from bash")
	// The tools that the team has not allowed are not there.
	if got := d.ask("a", calls("reset_session", map[string]string{"team": "b"})); !strings.Contains(got, "No such tool") {
		t.Errorf("got %s", got)
	}
}

// The end of the daemon loses no answer: the servers wait on with the next one.
func TestRealAgentsAskOverTheEndOfTheDaemon(t *testing.T) {
	for how, end := range map[string]func(d *deciding){
		"killed": func(d *deciding) {
			if err := syscall.Kill(d.status().PID, syscall.SIGKILL); err != nil {
				d.t.Fatal(err)
			}
		},
		"replaced": func(d *deciding) { d.run("daemon", "restart") },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := newAsking(t, "", "a", "b", "c")
			ran := filepath.Join(d.mkdir("elsewhere"), "ran")
			tool := fmt.Sprintf(`tool:Bash:{"command":"echo >> %s; sleep 3; echo the answer of c","description":"d"}`, ran)
			id := d.submit("a", asks("b", asks("c", tool)))
			d.eventually("the tool of c", func() bool { _, err := os.Stat(ran); return err == nil })
			end(d)
			// The servers have another daemon started: nobody else does here.
			d.eventually("the next daemon", func() bool {
				_, err := tell[ipc.Status](d.inn, ipc.MethodStatus, nil)
				return err == nil
			})
			d.said(d.answer(id), "the answer of c")
			if text, err := os.ReadFile(ran); string(text) != "\n" {
				t.Errorf("the tool has run %d times, %v", len(text), err)
			}
		})
	}
}

// An agent that stops between two questions goes on with its conversation.
func TestRealAgentsAskOverAnEviction(t *testing.T) {
	t.Parallel()
	d := newAsking(t, "", "a", "b")
	d.ask("a", asks("b", "echo:first"))
	d.said(d.ask("a", calls("evict_team", map[string]string{"team": "b"})), `"state":"stopped"`)
	d.said(d.ask("a", asks("b", "dump")), "first")
	// It may also be evicted during its turn, which ends first.
	id := d.submit("a", asks("b", "after:2s:echo:second"))
	d.eventually("the turn of b", func() bool { return d.status().Journal.Running == 2 })
	d.run("evict", "b")
	d.said(d.answer(id), "second")
}

// Whatever keeps an agent from asking, it is told at once, and what to do instead.
func TestRealAgentsAreToldWhatTheyMayNotAsk(t *testing.T) {
	t.Parallel()
	d := newAsking(t, "max_processes = 3", "a", "b", "c")
	for _, c := range []struct{ text, want, next string }{
		{asks("a", "x"), "it is of the same session", "do that work yourself"},
		{asks("b", asks("a", "x")), "a waits for b", "do that work yourself"},
		{asks("b", asks("c", asks("a", "x"))), "a waits for b waits for c", "do that work yourself"},
		{asks("b", asks("c", asks("b@s", "x"))), "turns that wait hold every slot (max_processes is 3)", "do that work yourself"},
		{asks("echo", "x"), "team a may not send messages to team echo", "list_teams lists the teams that you may write to"},
		{asks("nope", "x"), `no team "nope"`, "list_teams"},
		{asks("/tmp", "x"), "is a directory", "list_teams"},
		{asks("b", " "), "the message is blank", "Say in message"},
		{asks("b", "x", "soon"), `wait is "soon"`, "90s"},
		{calls("get_result", map[string]string{"id": "none"}), `no message "none"`, "list_messages"},
	} {
		begun := time.Now()
		d.said(d.ask("a", c.text), c.want, c.next)
		if took := time.Since(begun); took > longEnough {
			t.Errorf("%s took %v", c.text, took)
		}
	}
}

// Twenty agents that each ask every other one come to an end: each question has its answer,
// or a word why it was not asked.
func TestRealAgentsAllAskEachOther(t *testing.T) {
	t.Parallel()
	var teams []string
	for i := range 20 {
		teams = append(teams, fmt.Sprintf("t%02d", i))
	}
	d := newAsking(t, "max_processes = 20", teams...)
	var ids []string
	for _, from := range teams {
		for _, to := range teams {
			if from != to {
				ids = append(ids, d.submit(from, asks(to, "echo:answer of "+to)))
			}
		}
	}
	ended := map[string]int{}
	for _, id := range ids {
		switch answer := d.answer(id); {
		case strings.Contains(answer, "answer of t"):
			ended["answered"]++
		case strings.Contains(answer, "deadlock: the message could run only after"):
			ended["refused"]++
		default:
			t.Errorf("got %s", answer)
		}
	}
	t.Logf("of %d questions: %v", len(ids), ended)
	if got := d.status(); got.Journal.Queued+got.Journal.Running > 0 || ended["answered"] == 0 {
		t.Errorf("got %+v, %v", got.Journal, ended)
	}
}

// An interrupt of the turn or the death of the server ends only the wait: the message goes on,
// and its id finds the answer.
func TestRealEndOfTheWaitLeavesTheMessage(t *testing.T) {
	for how, end := range map[string]func(d *deciding, id string){
		"interrupt": func(d *deciding, id string) { d.run("cancel", id) },
		"server killed": func(d *deciding, id string) {
			for _, pid := range d.servers() {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					d.t.Fatal(err)
				}
			}
			d.answer(id)
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := newAsking(t, "", "a", "b")
			id := d.submit("a", asks("b", "after:3s:echo:the answer of b"))
			d.eventually("the turn of b", func() bool { return d.status().Journal.Running == 2 })
			end(d, id)
			b := d.lastOf("b", "")
			if b.State != "running" {
				t.Errorf("got %+v", b)
			}
			d.run("restart", "a") // with another server
			d.said(d.ask("a", calls("wait_message", map[string][]string{"ids": {b.ID}})), "the answer of b")
		})
	}
}

// servers are the processes of the MCP servers of all agents.
func (d *deciding) servers() (pids []int) {
	d.t.Helper()
	for _, a := range mustTell[ipc.ProcessTree](d.inn, ipc.MethodTree, nil).Agents {
		for _, p := range a.Processes {
			if strings.HasSuffix(p.Command[0], "iris-mcp") {
				pids = append(pids, p.PID)
			}
		}
	}
	return pids
}

// A Claude Code that a person has started gets the server by one command, and writes to every
// team as the person does.
func TestRealClaudeCodeOfAPersonAsks(t *testing.T) {
	t.Parallel()
	d := newAsking(t, "", "a")
	r := newReal(t)
	run := func(args ...string) string {
		t.Helper()
		cmd := r.command(d.house, args...)
		cmd.Env = append(cmd.Env, d.env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("claude %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("mcp", "add", "iris", "--", d.iris, "mcp")
	if got := run("mcp", "list"); !strings.Contains(got, "Connected") {
		t.Errorf("got %s", got)
	}
	d.said(run("-p", asks("a", "echo:hello"), "--allowedTools=mcp__iris"), `"answer":"hello"`)
	d.said(run("-p", asks("echo", "hello"), "--allowedTools=mcp__iris"), `"answer":"hello"`)
	if m := d.lastOf("a", ""); m.Depth != 0 || m.From != "" || m.Origin != "mcp" {
		t.Errorf("got %+v", m)
	}
}

// Claude Code ends a call that has been silent for too long, by default after 30 minutes. The
// server is not silent.
func TestRealCallOutlivesTheLimitOfSilence(t *testing.T) {
	t.Parallel()
	d := newAsking(t, "env = { CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT = \"30000\" }", "a", "b")
	d.said(d.ask("a", asks("b", "after:50s:echo:the answer of b")), `"answer":"the answer of b"`)
}

// A program behind an adapter has the server, and is known to the daemon by it.
func TestRealProgramBehindAnAdapterAsksAnotherTeam(t *testing.T) {
	h, _ := adaptedHouse(t, irisPath(t), "opencode", "mcp = true", `mcp_teams = ["echo"]`)
	needMCP(t)
	for range 2 { // the second time in a session that goes on
		if got := h.run("send", "api", `call:iris_send_message:{"to":"echo","message":"hello"}`); !strings.Contains(got, "tool said: ") || !strings.Contains(got, `"state":"done"`) {
			t.Errorf("got %s", got)
		}
		h.run("evict", "api")
	}
	var m ipc.Message
	if err := json.Unmarshal([]byte(h.run("messages", "--json", "-n", "1", "echo")), &m); err != nil || m.From != "api" || m.FromMessage == "" || m.Depth != 1 {
		t.Errorf("got %+v, %v", m, err)
	}
}
