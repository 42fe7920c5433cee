package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// writingTeams is an inn whose scripted agents may run commands; each team has its name and
// its settings.
func writingTeams(t *testing.T, toml string, teams ...string) *deciding {
	t.Helper()
	d := &deciding{inn: newInn(t, "")}
	program := claudetest.Install(t.TempDir())
	for _, team := range teams {
		name, settings, _ := strings.Cut(team, " ")
		toml += fmt.Sprintf("\n[teams.%s]\ndir = %q\ncommand = %q\n%s\n", name, d.mkdir(name), program, settings)
	}
	d.configure("stop_grace = \"2s\"\n" + toml)
	d.run("daemon", "reload")
	return d
}

// script makes a program that agents can run, with the path of iris in $IRIS.
func (d *deciding) script(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.mkdir("scripts"), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\nIRIS="+d.iris+"\n"+text), 0o700); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// lastOf is the record of the newest message of a session.
func (d *deciding) lastOf(team, session string) ipc.Message {
	d.t.Helper()
	return mustTell[ipc.Message](d.inn, ipc.MethodShow, ipc.MessageRef{Team: team, Session: session})
}

// The record of a message, the list and the events say which agent has sent it.
func TestMessagesNameTheAgentThatSendsThem(t *testing.T) {
	t.Parallel()
	d := writingTeams(t, "", "api", "web", "docs")
	inner := d.script("inner", "$IRIS send docs deep")
	got := d.ask("api", "run:"+d.script("outer", "$IRIS send web@s 'run:"+inner+"'"))
	if !strings.Contains(got, "deep") {
		t.Fatalf("got %s", got)
	}
	api, web, docs := d.lastOf("api", ""), d.lastOf("web", "s"), d.lastOf("docs", "")
	if api.From != "" || api.FromMessage != "" || api.Depth != 0 {
		t.Errorf("of a person: got %+v", api)
	}
	if web.From != "api" || web.FromMessage != api.ID || web.Depth != 1 {
		t.Errorf("of its agent: got %+v", web)
	}
	if docs.From != "web@s" || docs.FromMessage != web.ID || docs.Depth != 2 {
		t.Errorf("of the agent of that message: got %+v", docs)
	}
	if got := d.run("show", docs.ID); !strings.Contains(got, "from:        the agent of web@s, in the turn of message "+web.ID+"; depth 2\n") {
		t.Errorf("got %s", got)
	}
	if got := d.run("messages", "docs", "--json"); !strings.Contains(got, fmt.Sprintf(`"from":"web@s","from_message":%q,"depth":2`, web.ID)) {
		t.Errorf("got %s", got)
	}
	for _, typ := range []string{"message-sent", "message-response", "message-ended"} {
		for _, e := range d.events(typ) {
			if e.Message == docs.ID && (e.From != "web@s" || e.FromMessage != web.ID || e.Depth != 2) || e.Message == api.ID && e.Depth != 0 {
				t.Errorf("got %+v", e)
			}
		}
	}
	if got := d.run("events", "docs"); !strings.Contains(got, docs.ID+"  from web@s\n") {
		t.Errorf("got %s", got)
	}
	// Whoever runs in no agent is a person, whatever is in the arguments or the environment.
	d.env = append(d.env, "IRIS_PROCESS=other-1", "IRIS_TEAM=web", "IRIS_SESSION=")
	d.run("send", "api", "x")
	if m := d.lastOf("api", ""); m.Depth != 0 || m.From != "" {
		t.Errorf("got %+v", m)
	}
}

// The agent of an orphan sends as before, and its message counts.
func TestMessagesNameAnOrphan(t *testing.T) {
	t.Parallel()
	d := writingTeams(t, "", "api", "web")
	flag := d.mkdir("wait") + "/go"
	id := d.submit("api", fmt.Sprintf("run:until test -e %s; do sleep 0.05; done; %s send web x", flag, d.iris))
	d.eventually("the turn", func() bool { return len(d.events("message-sent")) > 0 })
	if err := syscall.Kill(d.status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.run("ps")
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.answer(id)
	if m := d.lastOf("web", ""); m.From != "api" || m.FromMessage != id || m.Depth != 1 {
		t.Errorf("got %+v", m)
	}
}

// What an agent may not send is refused at once, and nothing of it is kept.
func TestAgentsMaySendOnlySoMuch(t *testing.T) {
	t.Parallel()
	d := writingTeams(t, "mcp_max_messages = 2", "api mcp = true", "web mcp = true", "docs", "old", "few mcp = true\nmcp_teams = [\"docs\"]", "lone mcp = true\nmcp_teams = []")
	chain := d.script("chain", `$IRIS send api@$(($1+1)) "run:$0 $(($1+1))" 2>&1; echo "status $?"`)
	sh := func(team, command string, wants ...string) {
		t.Helper()
		got := d.ask(team, "run:"+command)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s: got %s, want %s", team, command, got, want)
			}
		}
	}
	send := func(to string) string { return d.iris + " send " + to + " x 2>&1; echo status $?" }
	sh("api", send("web"), "x\nstatus 0")
	sh("old", send("docs"), "x\nstatus 0")
	sh("few", send("docs"), "x\nstatus 0")
	for from, to := range map[string]string{"api": "docs", "few": "web", "lone": "lone", "web": d.mkdir("docs")} {
		before := d.status().Journal.Messages
		sh(from, send(to), "may not send messages to team ", "iris: hint: a person may add it to mcp_teams of team "+from, "status 2")
		if n := d.status().Journal.Messages; n != before+1 {
			t.Errorf("%d messages, want %d", n, before+1)
		}
	}
	sh("api", chain+" 0", "number 4 in a chain of agents", "mcp_max_depth is 3", "status 75")
	if m := d.lastOf("api", "3"); m.Depth != 3 {
		t.Errorf("got %+v", m)
	}
	sh("api", strings.Repeat(send("web")+"; ", 3), "ok: x\nstatus 0\nok: x\nstatus 0\n", "has sent 2 messages; mcp_max_messages allows no more", "status 75")
	sh("api", send("web"), "x\nstatus 0") // in another turn
	// A repeated message is none more.
	sh("api", strings.Repeat(d.iris+" send web x --key k; ", 4), "ok: x\nok: x\nok: x\nok: x\n")
}

// A message that would wait for the turn that sends it is refused with the reason, also when
// the turn begins to wait for it later.
func TestAgentsDoNotWaitForEachOtherForEver(t *testing.T) {
	t.Parallel()
	d := writingTeams(t, "max_processes = 2", "api", "web")
	send := func(to string) string { return d.iris + " send " + to + " x 2>&1; echo status $?" }
	const refused = "deadlock: the message could run only after the turn that is sending it: "
	for _, c := range []struct{ command, want string }{
		{send("api"), refused + "it is of the same session"},
		{d.iris + " send web 'run:" + send("api") + "'", refused + "api waits for web"},
		{d.iris + " send web 'run:" + send("echo") + "'", refused + "turns that wait hold every slot (max_processes is 2)"},
		{d.iris + " send --detach --key k api once; " + d.iris + " send --key k api once 2>&1; echo status $?", refused + "it is of the same session"},
		{d.iris + " wait $(" + d.iris + " send --detach api late) 2>&1; echo status $?", refused + "it is of the same session"},
	} {
		if got := d.ask("api", "run:"+c.command); !strings.Contains(got, c.want) || !strings.Contains(got, "status 75") {
			t.Errorf("%s: got %s, want %s", c.command, got, c.want)
		}
	}
	id := d.lastOf("api", "").ID
	if got := d.answer(id); !strings.Contains(got, "late") {
		t.Errorf("the message is not lost: got %s", got)
	}
}

// mcp = true gives the agents of that team the server and the permission for its tools,
// beside what the arguments of the team say; its change replaces them between two turns.
func TestTeamsGetTheServerThatTheyWant(t *testing.T) {
	t.Parallel()
	d := writingTeams(t, "", "api mcp = true\nargs = [\"--allowedTools=Bash\"]", "web")
	args := func(team string) string { return strings.ReplaceAll(d.ask(team, "args:"), `\`, "") }
	server := fmt.Sprintf(`--mcp-config={"mcpServers":{"iris":{"command":%q,"args":["mcp"]}}}","--allowedTools=mcp__iris","--allowedTools=Bash"`, d.iris)
	if got := args("api"); !strings.Contains(got, server) {
		t.Errorf("got %s, want %s", got, server)
	}
	if got := args("web"); strings.Contains(got, "mcp") {
		t.Errorf("got %s", got)
	}
	d.run("config", "set", "--team", "web", "mcp", "true")
	if got := args("web"); !strings.Contains(got, "mcp__iris") {
		t.Errorf("got %s", got)
	}
	d.run("config", "set", "--team", "api", "mcp", "false")
	if got := args("api"); strings.Contains(got, "mcp") {
		t.Errorf("got %s", got)
	}
}
