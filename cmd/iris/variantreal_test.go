//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/ipc"
)

// A wish is a house with one team of the real Claude Code, whose messages ask for
// things.
type wish struct {
	*witness
	dir string // of the team
}

func newWish(t *testing.T, toml string) *wish {
	t.Helper()
	r := newReal(t)
	h := newHouse(t, "iris", "")
	w := &wish{&witness{T: t, house: h}, h.mkdir("project")}
	h.configure(r.team(h, "it", w.dir) + toml + "\n")
	return w
}

// sends sends a message with flags and checks its status and answer.
func (w *wish) sends(status int, want, message string, flags ...string) ipc.Reply {
	w.T.Helper()
	code, stdout, stderr := w.send(&truth{flags: flags}, "it", message, "--json")
	var reply ipc.Reply
	if err := json.Unmarshal([]byte(stdout), &reply); err != nil {
		w.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if code != status || !strings.Contains(reply.Text, want) {
		w.Errorf("%v %q: status %d, %s\nwant %d, %s", flags, message, code, stdout, status, want)
	}
	return reply
}

// agent is the pid of the only agent.
func (w *wish) agent() int {
	w.T.Helper()
	var list []ipc.Process
	if err := json.Unmarshal([]byte(w.run("ps", "--json")), &list); err != nil || len(list) != 1 {
		w.Fatalf("%v: %+v", err, list)
	}
	return list[0].PID
}

// The conversation goes on through all of them, and contains only what was said: no
// remark of a change of model.
func TestRealVariants(t *testing.T) {
	t.Parallel()
	w := newWish(t, "args = [\"--allowedTools=Bash\"]")
	const own = "claude-opus-"
	before := w.sends(0, own, "model:1")
	first := w.agent()
	w.sends(0, "claude-haiku-", "model:2", "--model=haiku")
	second := w.agent()
	w.sends(0, "claude-haiku-", "model:3", "--model=haiku")
	if third := w.agent(); first == second || second != third {
		t.Errorf("agents %d, %d, %d: want another one, and that again", first, second, third)
	}
	if after := w.sends(0, own, "model:4"); after.Model != before.Model || before.Model == "" {
		t.Errorf("model %q, then %q", before.Model, after.Model)
	}
	if log := w.run("events"); !strings.Contains(log, "the next message is with --model") || !strings.Contains(log, "without --model") {
		t.Errorf("no reason in\n%s", log)
	}

	write := fmt.Sprintf(`tool:Write:{"file_path":%q,"content":"x"}`, filepath.Join(w.dir, "new"))
	w.sends(9, "", write)
	w.sends(0, "", write, "--permission-mode=acceptEdits")
	if _, err := os.Stat(filepath.Join(w.dir, "new")); err != nil {
		t.Error(err)
	}
	os.Remove(filepath.Join(w.dir, "new"))
	w.sends(9, "", write)

	tool := `tool:Bash:{"command":"echo ran","description":"d"}`
	w.sends(11, "", tool, "--max-turns=1")
	w.sends(0, "ran", tool)
	w.sends(11, "", tool, "--max-cost=0.0001")
	w.sends(0, "ran", tool, "--max-cost=5")
	w.sends(0, "ran", tool)

	w.sends(0, "BE-POLITE", "ctx", "--append-system-prompt=BE-POLITE")
	if argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.agent())); strings.Contains(string(argv), "POLITE") {
		t.Errorf("everybody sees %s", argv)
	}
	if text := w.sends(0, "", "ctx").Text; strings.Contains(string(text), "BE-POLITE") {
		t.Error("it is still polite")
	}

	schema := `--json-schema={"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`
	w.sends(0, `{"name":"bob"}`, `tool:StructuredOutput:{"name":"bob"}`, schema)
	if reply := w.sends(1, "", "echo:bob", schema); reply.Error != "the agent gave no answer that follows the JSON schema" {
		t.Errorf("got %q", reply.Error)
	}
	code, stdout, stderr := w.send(&truth{flags: []string{schema}}, "it", `tool:StructuredOutput:{"name":"al"}`)
	if code != 0 || stdout != "{\"name\":\"al\"}\n" || stderr != "" {
		t.Errorf("status %d, %q, %q", code, stdout, stderr)
	}

	w.sends(0, `["model:1","model:2","model:3","model:4","tool:Write:`, "dump")
	if text := w.sends(0, "", "dump").Text; strings.Contains(string(text), "/model") || strings.Contains(string(text), "caveat") {
		t.Errorf("the conversation has remarks: %s", text)
	}
}

// The first message of a conversation may ask for a model, and the daemon may die
// before the next one.
func TestRealModelOfTheNextMessage(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	w.sends(0, "claude-haiku-", "model:1", "--model=haiku")
	w.run("daemon", "stop")
	w.sends(0, "claude-opus-", "model:2")
	if err := os.MkdirAll(filepath.Join(w.dir, ".claude"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, ".claude", "settings.json"), []byte(`{"model":"claude-sonnet-4-6"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	w.run("session", "reset", "it")
	w.sends(0, "claude-haiku-", "model:1", "--model=haiku")
	w.sends(0, "claude-sonnet-4-6", "model:2")
}

// The options of a message are recorded with it.
func TestRealVariantOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	gate, open := w.house.gate()
	blocker := strings.TrimSpace(w.run("send", "-n", "-d", "it", "slow:30:@"+gate))
	id := strings.TrimSpace(w.run("send", "-n", "-d", "--key=k", "--model=haiku", "--max-turns=7", "it", "model:x"))
	w.runs()
	w.killDaemon()
	open()
	w.run("wait", blocker)
	if got := w.run("wait", id); !strings.Contains(got, "claude-haiku-") {
		t.Errorf("answered by %s", got)
	}
	if show := w.run("show", id); !strings.Contains(show, "haiku") || !strings.Contains(show, "max turns") {
		t.Errorf("got\n%s", show)
	}
	if got := w.run("retry", id); !strings.Contains(got, "claude-haiku-") {
		t.Errorf("the repetition was answered by %s", got)
	}
	if got := w.run("send", "-n", "--key=k", "--model=haiku", "--max-turns=7", "it", "model:x"); !strings.Contains(got, "claude-haiku-") {
		t.Errorf("with its key: %s", got)
	}
	w.sends(65, "", "model:x", "--key=k", "--model=opus", "--max-turns=7")
	w.sends(65, "", "model:x", "--key=k")
}

// An agent is the same variant for the next image of the daemon.
func TestRealVariantIsHandedOver(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	w.sends(0, "claude-haiku-", "model:1", "--model=haiku")
	before := w.agent()
	w.run("daemon", "restart")
	w.sends(0, "claude-haiku-", "model:2", "--model=haiku")
	if after := w.agent(); after != before {
		t.Errorf("agent %d, then %d", before, after)
	}
	w.run("daemon", "restart")
	w.sends(0, "claude-opus-", "model:3")
}

func TestRealBypassIsTheTeamsToGive(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	reply := w.sends(2, "", "echo:x", "--permission-mode=bypassPermissions")
	if !strings.Contains(reply.Error, "nothing in args of team it allows that") {
		t.Errorf("got %q", reply.Error)
	}
	w = newWish(t, "args = [\"--dangerously-skip-permissions\"]\nenv.IS_SANDBOX = \"1\"")
	touch := `tool:Bash:{"command":"touch ` + filepath.Join(w.house.dir, "made") + `","description":"d"}`
	w.sends(0, "", touch)
	w.sends(9, "", touch, "--permission-mode=default") // though the argument would override it
	w.sends(0, "", touch, "--permission-mode=bypassPermissions")
}

// What can be set in the live agent needs no other one, and nothing of it stays.
func TestRealWarmFlags(t *testing.T) {
	t.Parallel()
	w := newWish(t, "args = [\"--effort=high\"]")
	touch := `tool:Bash:{"command":"touch made","description":"d"}`
	w.sends(9, "", touch)
	first := w.agent()
	w.sends(0, "effort low", "effort:a", "--effort=low")
	w.sends(0, "", touch, "--allowed-tools=Bash(touch *),Edit", "--effort=max")
	w.sends(9, "", touch)
	w.sends(0, "effort high", "effort:b")
	if now := w.agent(); now != first {
		t.Errorf("agent %d, then %d", first, now)
	}
	w.sends(0, "", touch, "--permission-mode=acceptEdits")
	w.sends(9, "", touch)
	if events := w.run("events"); w.agent() != first && !strings.Contains(events, "with --permission-mode") {
		t.Errorf("another agent, and no reason in\n%s", events)
	}
	if reply := w.sends(2, "", "echo:x", "--allowed-tools=Bash(touch"); !strings.Contains(reply.Error, "a rule is the name of a tool") {
		t.Errorf("got %q", reply.Error)
	}
}

// The list of agents names the mode of a message while its turn runs.
func TestRealModeIsShown(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	gate, open := w.house.gate()
	w.sends(0, "", "echo:x")
	id := strings.TrimSpace(w.run("send", "-n", "-d", "--permission-mode=plan", "it", "slow:2:@"+gate))
	w.runs()
	if ps := w.run("ps"); !strings.Contains(ps, "permission mode plan") {
		t.Errorf("got\n%s", ps)
	}
	open()
	w.run("wait", id)
	w.sends(0, "", "echo:x")
	if ps := w.run("ps"); strings.Contains(ps, "permission mode") {
		t.Errorf("got\n%s", ps)
	}
}

// Work in the background goes with an agent that gives way to another variant, and
// that is said.
func TestRealVariantEndsBackgroundWork(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	w.sends(0, "", background)
	if reply := w.sends(0, "x", "echo:x"); reply.Background != nil || reply.Notice != "" {
		t.Errorf("got %+v", reply)
	}
	reply := w.sends(0, "x", "echo:x", "--max-turns=3")
	if want := "team it: background work has ended with the agent that ran it: the tests"; reply.Notice != want {
		t.Errorf("notice %q, want %q", reply.Notice, want)
	}
}

func TestRealFiles(t *testing.T) {
	t.Parallel()
	w := newWish(t, "")
	mine := w.mkdir("mine")
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89" +
		"\x00\x00\x00\rIDATx\x9cb`\x01\x00\x00\x00\x05\x00\x01\xa5\xf6E@\x00\x00\x00\x00IEND\xaeB`\x82"
	for name, data := range map[string]string{"a.dat": png, "b.pdf": "%PDF-1.4\n%%EOF", "c.txt": "three\n"} {
		if err := os.WriteFile(filepath.Join(mine, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(args ...string) string {
		cmd := w.command(append([]string{"send"}, args...)...)
		cmd.Dir, cmd.Stdin = mine, strings.NewReader("files\n")
		return run(t, cmd)
	}
	if got := ask("it", "look", "@a.dat", "and", "@b.pdf", "@c.txt"); got != `["image image/png 68","document application/pdf 14"]`+"\n" {
		t.Errorf("got %s", got)
	}
	if got := w.run("send", "-n", "it", "dump"); !strings.Contains(got, `"look","File a.dat:","and","File b.pdf:","File c.txt:\n\nthree\n","files\n`) {
		t.Errorf("got %s", got)
	}
}

// A server of MCP that never answers is named: by the list of agents while the first
// message waits for it, where Claude Code waits, and by doctor.
func TestRealServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	w := newWish(t, `args = ['--mcp-config={"mcpServers":{"mute":{"command":"sleep","args":["1000"]}}}']
env.MCP_TIMEOUT = "5000"`)
	code, screen := onTerminal(t, w.command("send", "it", "echo:x"), 80, 24).ends()
	shown := strings.Contains(screen, "the agent waits for MCP server mute")
	if events := w.run("events"); code != 0 || shown != strings.Contains(events, "  MCP server mute") {
		t.Errorf("status %d, shown %q, events\n%s", code, screen, events)
	}
	if !shown {
		t.Logf("it did not wait: %q", screen)
	}
	if doctor, _ := w.command("doctor").CombinedOutput(); !strings.Contains(string(doctor), "does not reach the MCP server mute: ") {
		t.Errorf("got\n%s", doctor)
	}
}
