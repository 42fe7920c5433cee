package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"iris/ipc"
)

// deciding is a house with one team "api" whose agents ask for permission; call is
// a message that makes them do so, and allowed what they answer when they may.
type deciding struct {
	*inn
	call, allowed string
}

// decidingFake has the scripted agent, decidingReal the real one, both with these
// top-level settings.
func decidingFake(t *testing.T, toml string) *deciding {
	d := &deciding{inn: newInn(t, "approvals = \"ask\"\n"+toml, "api")}
	d.call, d.allowed = `ask:Bash:{"command":"x"}`, `allowed: {"command":"x"}`
	return d
}

func decidingReal(t *testing.T, toml string) *deciding {
	r := newReal(t)
	d := &deciding{inn: newInn(t, "")}
	d.configure("approvals = \"ask\"\n" + toml + "\n" + r.team(d.house, "api", d.mkdir("project")))
	d.run("daemon", "reload")
	d.call = fmt.Sprintf(`tool:Bash:{"command":"echo made > %s/made && cat %[1]s/made","description":"d"}`, d.mkdir("elsewhere"))
	d.allowed = "tool said: made"
	return d
}

func withBoth(t *testing.T, toml string, f func(t *testing.T, d *deciding)) {
	t.Run("fake", func(t *testing.T) { t.Parallel(); f(t, decidingFake(t, toml)) })
	t.Run("real", func(t *testing.T) { t.Parallel(); f(t, decidingReal(t, toml)) })
}

// exec runs a command and returns its status and output.
func (d *deciding) exec(args ...string) (status int, stdout, stderr string) {
	d.t.Helper()
	cmd := d.command(args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// want runs a command and checks its status, and that those words are on stderr.
func (d *deciding) want(status int, words string, args ...string) (stdout string) {
	d.t.Helper()
	got, stdout, stderr := d.exec(args...)
	if got != status || !strings.Contains(stderr, words) || words == "" && stderr != "" {
		d.t.Errorf("iris %s: status %d, want %d; stderr %q, want %q; stdout %q", strings.Join(args, " "), got, status, stderr, words, stdout)
	}
	return stdout
}

// pending waits for an approval.
func (d *deciding) pending() (a ipc.Approval) {
	d.t.Helper()
	d.eventually("an approval", func() bool {
		list := mustTell[ipc.ApprovalList](d.inn, ipc.MethodApprovals, nil).Approvals
		if len(list) > 0 {
			a = list[0]
		}
		return len(list) > 0
	})
	return a
}

// events are those of a type that the daemon has kept.
func (d *deciding) events(typ string) (all []ipc.Event) {
	d.t.Helper()
	for _, e := range mustTell[ipc.EventList](d.inn, ipc.MethodEvents, nil).Events {
		if e.Type == typ {
			all = append(all, e)
		}
	}
	return all
}

func TestApprovalsByCommand(t *testing.T) {
	t.Parallel()
	withBoth(t, "", func(t *testing.T, d *deciding) {
		id := d.submit("api", d.call)
		a := d.pending()
		if a.Message != id {
			t.Errorf("got %+v", a)
		}
		if table := d.want(0, "", "approvals"); !strings.Contains(table, a.ID) || !strings.Contains(table, "Bash") || !strings.Contains(table, "in 10m") {
			t.Errorf("got %s", table)
		}
		if ps := d.want(0, "", "ps"); !strings.Contains(ps, "waits for approval "+a.ID+": Bash") {
			t.Errorf("got %s", ps)
		}
		d.want(0, "", "approve", a.ID)
		if got := d.answer(id); got != d.allowed {
			t.Errorf("got %q", got)
		}
		d.want(4, "was allowed by pid", "deny", a.ID)
		id = d.submit("api", d.call)
		d.want(0, "", "deny", d.pending().ID, "not", "now")
		if out := d.want(9, "iris: denied: Bash\n", "wait", id); !strings.Contains(out, "the user has denied this: not now") {
			t.Errorf("got %q", out)
		}
		if _, _, stderr := d.exec("result", id); stderr != "iris: denied: Bash\n" {
			t.Errorf("a hint although somebody wanted that: %q", stderr)
		}
		id = d.submit("api", d.call)
		a = d.pending()
		d.want(0, "", "cancel", id)
		d.want(5, "cancelled", "wait", id)
		d.want(4, "withdrawn", "approve", a.ID)
	})
}

func TestApprovalExpiresByItself(t *testing.T) {
	t.Parallel()
	withBoth(t, "approval_timeout = \"300ms\"", func(t *testing.T, d *deciding) {
		if out := d.want(9, "iris: denied: Bash\n", "send", "-n", "api", d.call); !strings.Contains(out, "nobody has decided about this within 300ms") {
			t.Errorf("got %q", out)
		}
	})
}

// A waiting approval still waits in the next program of the daemon.
func TestApprovalOutlivesTheProgramOfTheDaemon(t *testing.T) {
	t.Parallel()
	withBoth(t, "", func(t *testing.T, d *deciding) {
		id := d.submit("api", d.call)
		before := d.pending()
		d.mustReplace()
		d.mustReplace()
		after := d.pending()
		if after.ID != before.ID || string(after.Input) != string(before.Input) || after.Message != id || !after.Asked.Equal(before.Asked) ||
			!after.Deadline.Equal(*before.Deadline) || after.Description != before.Description {
			t.Errorf("before %+v\nafter  %+v", before, after)
		}
		d.want(0, "", "approve", after.ID)
		if got := d.answer(id); got != d.allowed {
			t.Errorf("got %q", got)
		}
		if asked := d.events("approval-asked"); len(asked) != 1 {
			t.Errorf("%d events say that it was asked", len(asked))
		}
		id = d.submit("api", d.call)
		d.want(0, "", "deny", d.pending().ID)
		d.want(9, "denied: Bash", "wait", id)
		d.mustReplace()
		d.want(4, "was allowed by pid", "deny", after.ID)
	})
}

func TestApprovalExpiresInTheNextProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := dir + "/notify"
	if err := writeProgram(script, fmt.Sprintf("#!/bin/sh\necho $IRIS_APPROVAL >> %s/told\n", dir), 0o700); err != nil {
		t.Fatal(err)
	}
	d := decidingFake(t, fmt.Sprintf("approval_timeout = \"3s\"\nnotify = [%q]", script))
	id := d.submit("api", d.call)
	d.eventually("the command", func() bool { told, _ := os.ReadFile(dir + "/told"); return len(told) > 0 })
	d.mustReplace()
	d.want(9, "denied: Bash", "wait", id)
	asked := d.events("approval-asked")
	if len(asked) != 1 {
		t.Fatalf("asked %v", asked)
	}
	a, _, _ := strings.Cut(asked[0].Detail, ":")
	if told, err := os.ReadFile(dir + "/told"); err != nil || string(told) != a+"\n" {
		t.Errorf("told %q, %v, want %s", told, err, a)
	}
}

// When the daemon is killed the agent denies by itself, and the message says that
// nobody had decided.
func TestApprovalIsLostWhenTheDaemonIsKilled(t *testing.T) {
	t.Parallel()
	withBoth(t, "", func(t *testing.T, d *deciding) {
		id := d.submit("api", d.call)
		a := d.pending()
		if err := syscall.Kill(d.status().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.want(9, "iris: denied: Bash (approval lost: the daemon ended while it was pending)\n", "wait", id)
		var reply struct {
			Reason, Outcome string
			Status          int
		}
		if err := json.Unmarshal([]byte(d.want(9, "approval lost", "result", "--json", id)), &reply); err != nil || reply.Reason != "approval-lost" || reply.Outcome != "denied" || reply.Status != 9 {
			t.Errorf("got %+v, %v", reply, err)
		}
		d.want(4, "no approval", "approve", a.ID)
	})
}

// refused are the commands that an agent may not run.
var refused = []string{
	"approve 00000", "deny 00000", "kill api", "kill --all", "retry 0000000000000000", "resolve 0000000000000000 --as done",
	"send --permission-mode acceptEdits api x", "send --allowed-tools Bash api x", "send -d --permission-mode default api@s x",
	"daemon stop", "daemon restart", "daemon reload", "team add other /", "team rm api",
}

func TestAgentsAreRefused(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	for _, how := range []string{
		"%s",                        // as a tool is run
		"env -u IRIS_PROCESS %s",    // its mark is gone, its ancestors are not
		"setsid -w %s",              // a session of its own
		"sh -c 'setsid -f %s' 2>&1", // its ancestors are gone, its mark is not
	} {
		for _, args := range refused {
			got := d.ask("api", "run:"+fmt.Sprintf(how, d.iris+" "+args))
			if !strings.Contains(got, "an agent may not ") || !strings.Contains(got, "iris: hint: run it in a shell of your own") {
				t.Errorf(how+": %s", args, got)
			}
			if !strings.Contains(how, "setsid -f") && !strings.HasSuffix(got, "status 2") {
				t.Errorf(how+": %s", args, got)
			}
		}
	}
	if got := d.ask("api", "run:"+d.iris+" send -n echo hi && "+d.iris+" send -d --permission-mode plan api@s x && "+d.iris+" ps -q && "+d.iris+" approvals"); !strings.Contains(got, "hi\n") || !strings.HasSuffix(got, "status 0") {
		t.Errorf("what an agent may do: %s", got)
	}
	// A person is not refused, whatever mark of another daemon is in the shell.
	d.env = append(d.env, "IRIS_PROCESS=other-1")
	d.want(4, "no approval", "approve", "00000")
	d.want(0, "", "daemon", "reload")
	d.want(0, "", "team", "add", "other", d.mkdir("other"))
	d.want(0, "", "kill", "api")
	// Without a daemon only the mark can tell.
	d.want(0, "", "daemon", "stop")
	d.want(2, "an agent may not remove a team", "team", "rm", "other")
	d.env = d.env[:len(d.env)-1]
	d.want(0, "", "team", "rm", "other")
}

// An agent that an earlier daemon has left is not below the new daemon, and is still
// refused.
func TestLeftAgentIsRefused(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	flag := d.mkdir("wait") + "/go"
	id := d.submit("api", fmt.Sprintf("run:until test -e %s; do sleep 0.05; done; %s kill --all", flag, d.iris))
	d.eventually("the turn", func() bool { return len(d.begun()) > 0 })
	if err := syscall.Kill(d.status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.run("ps")
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := d.answer(id); !strings.Contains(got, "an agent may not kill agents, and this command was started by the agent of team api") {
		t.Errorf("got %s", got)
	}
}

func TestRealAgentIsRefused(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	i := newInn(t, "")
	i.configure(r.team(i.house, "api", i.mkdir("project")) + "args = [\"--allowedTools=Bash\"]\n")
	i.run("daemon", "reload")
	for _, args := range refused {
		command, _ := json.Marshal(i.iris + " " + args + "; echo status $?")
		if got := i.ask("api", fmt.Sprintf(`tool:Bash:{"command":%s,"description":"d"}`, command)); !strings.Contains(got, "an agent may not ") || !strings.HasSuffix(got, "status 2") {
			t.Errorf("%s: %s", args, got)
		}
	}
}

// A subagent's request is known for one, wherever it is shown.
func TestRealSubagentAsks(t *testing.T) {
	t.Parallel()
	d := decidingReal(t, "")
	prompt, _ := json.Marshal(d.call)
	id := d.submit("api", fmt.Sprintf(`tool:Agent:{"description":"look around","subagent_type":"general-purpose","prompt":%s}`, prompt))
	a := d.pending()
	if a.Subagent == nil || a.Subagent.Kind != "general-purpose" || a.Subagent.Task != "look around" || a.Subagent.ID == "" {
		t.Fatalf("got %+v", a)
	}
	if table := d.want(0, "", "approvals"); !strings.Contains(table, "Bash (general-purpose)  {") {
		t.Errorf("got %s", table)
	}
	if all := d.want(0, "", "approvals", a.ID); !strings.Contains(all, "general-purpose "+a.Subagent.ID+": look around\n") {
		t.Errorf("got %s", all)
	}
	d.want(0, "", "approve", a.ID)
	d.answer(id)
}

// An agent's notify command is not the agent.
func TestNotifyCommandMayDecide(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	script := d.mkdir("bin") + "/notify"
	if err := writeProgram(script, fmt.Sprintf("#!/bin/sh\nexec %s approve \"$IRIS_APPROVAL\"\n", d.iris), 0o700); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(d.dir + "/config/iris/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	d.configure(fmt.Sprintf("notify = [%q]\n", script) + string(old))
	d.run("daemon", "reload")
	if got := d.ask("api", d.call); got != d.allowed {
		t.Errorf("got %q, warnings %q", got, d.status().Warnings)
	}
}
