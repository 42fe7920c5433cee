package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"iris/config/sys"
)

// hostile is what must not reach a terminal as it is: a window title, the
// clipboard, a link, another answer than the one given, a line that is written
// over, a name that reads backwards, and a line that looks like ours.
const hostile = "a\x1b]0;t\x07\x1b]52;c;eA==\x07\x1b]8;;http://x\x07\x1b[31m\x1bc\u009b2J\x7f\b\r\u202egpj\u2066\u061c\u2028\niris: hint: trust me"

// hostileName is as much of it as may be in a name: everything but a line's end.
var hostileName = strings.ReplaceAll(hostile, "\n", " ")

// Every command that prints is run on a terminal, in a house where all that
// people and agents may choose is hostile.
func TestNothingHostileReachesATerminal(t *testing.T) {
	t.Parallel()
	h, id := hostileHouse(t)
	const dir = "api@s"
	bad := filepath.Join(h.dir, "bad.toml")
	if err := os.WriteFile(bad, []byte(fmt.Sprintf("%q = 1\n[teams.%q]\ndir = \"\\u001b[31m\"\n", hostileName, hostileName)), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, args := range [][]string{
		{"send", dir, "echo:" + hostile}, {"send", "--json", dir, "echo:" + hostile}, {"send", dir, "fail:" + hostile}, {"send", dir, "fail:denied"},
		{"send", "api", "stderr:" + hostile}, {"send", "broken", "x"}, {"send", hostileName, "x"}, {"send", "echo", "/fail " + hostile},
		{"send", "--detach", dir, "echo:x"}, {"send", "--key", hostileName, dir, "echo:once"}, {"send", "--key", hostileName, dir, "echo:other"},
		{"ps"}, {"ps", "-q"}, {"ps", "--json"}, {"ps", "--tree"}, {"ps", "--tree", "--json"},
		{"status"}, {"status", "--json"}, {"daemon", "status"}, {"events"}, {"events", "--json"}, {"events", dir}, {"events", hostileName},
		{"messages"}, {"messages", "--json"}, {"messages", "-q"}, {"messages", dir}, {"show", id}, {"show", "--json", id}, {"show", hostileName},
		{"result", id}, {"result", "--json", id}, {"result", "--last", dir}, {"result", "--last", hostileName}, {"wait", id}, {"wait", id, id},
		{"logs", dir}, {"logs", dir, "--raw"}, {"logs", id}, {"logs", hostileName}, {"usage"}, {"usage", "--by", "session"}, {"usage", "--json", dir},
		{"session", "ls"}, {"session", "ls", "--json"}, {"session", "reset", hostileName}, {"team", "ls"}, {"team", "ls", "--json"},
		{"team", "add", hostileName, "/"}, {"team", "rm", hostileName}, {"config", "show"}, {"config", "show", "--json"}, {"config", "show", "--env", "api"},
		{"config", "path", "--config", bad}, {"config", "path", "--json", "--config", bad}, {"config", "check"}, {"config", "check", "--config", bad},
		{"doctor"}, {"doctor", "--json"}, {"doctor", "--config", bad}, {"status", "--config", bad}, {"--socket", h.dir + "/" + hostileName, "ps", "--no-start"}, {"send", h.mkdir("x" + hostileName), "x"}, {"evict", h.dir + "/x" + hostileName},
		{"cancel", hostileName}, {"retry", hostileName}, {"resolve", hostileName, "--as", "done"}, {"wake", dir}, {"restart", dir}, {"evict", dir}, {"wake", dir},
		{"kill", dir}, {"kill", hostileName}, {"kill", "--tree", "--all"}, {"completion", hostile}, {"help", hostile}, {hostile}, {"ps", "--" + hostile},
		{"send", "--timeout", hostile, "echo", "x"}, {"messages", "--state", hostile}, {"events", "--after", hostile}, {"__complete", "send", ""},
		{"daemon", "reload"}, {"daemon", "restart", hostile}, {"version", hostile}, {"agent", hostile},
	} {
		p := onTerminal(t, h.command(args...), 80, 24)
		_, out := p.ends()
		if strings.Contains(out, `\x1b]0;t`) || strings.Contains(out, `\u001b]0;t`) {
			shown++
		}
		if what := steering(out); what != "" {
			t.Errorf("iris %q: %s in %q", args, what, out)
		}
		answers := args[0] == "send" || args[0] == "result" || args[0] == "wait" // which may have any line in them
		if !answers && strings.Contains("\n"+out, "\niris: hint: trust me") {
			t.Errorf("iris %q: a hint of somebody else's in %q", args, out)
		}
	}
	if shown < 30 {
		t.Errorf("only %d commands have shown anything hostile", shown)
	}
}

// statusLines are what a statusLine writes.
var statusLines = regexp.MustCompile(`\r([^\r\n\x1b]*)\x1b\[K`)

// steering returns the parts of an output that a terminal would obey, except in the
// status line. The terminal itself makes \r\n of each end of a line.
func steering(out string) string {
	out = statusLines.ReplaceAllString(out, "$1")
	for line := range strings.SplitSeq(strings.ReplaceAll(out, "\r\n", "\n"), "\n") {
		if i := strings.IndexFunc(strings.ReplaceAll(line, "\t", " "), sys.Steers); i >= 0 {
			return fmt.Sprintf("%q", line[i:])
		}
		if !utf8.ValidString(line) {
			return "no UTF-8"
		}
	}
	return ""
}

// hostileHouse is one whose agent was told such things and has said them; the
// message is one of those.
func hostileHouse(t *testing.T) (*house, string) {
	t.Helper()
	h := newHouse(t, "iris", "")
	program, err := exec.LookPath("fakeclaude")
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(h.mkdir("bin"), "broken")
	if err := writeProgram(broken, "#!/bin/sh\nprintf 'Error: \\033[31m\\302\\2332J\\r%s\\n' x >&2\nexit 1\n", 0o700); err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(hostile)
	text := strings.NewReplacer("\x7f", `\u007f`, "\u009b", `\u009b`).Replace(string(quoted))
	h.configure(fmt.Sprintf("command = %q\n[teams.api]\ndir = %q\nenv = { VALUE = %s }\n[teams.broken]\ndir = %q\ncommand = %q\n",
		program, h.mkdir("api"), text, h.mkdir("api"), broken))
	h.run("send", "api@s", "echo:"+hostile)
	id := strings.TrimSpace(h.run("messages", "-q"))
	h.run("send", "api@s", "tool:Bash"+hostileName+":"+`{"command":`+text+"}")
	h.run("send", "api@s", "fork:daemon:1m")
	return h, id
}
