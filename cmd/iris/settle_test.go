//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"iris/ipc"
)

// widow kills the daemon of an inn in the middle of a turn, whose agent is left.
func (i *inn) widow(text string) (id string) {
	i.t.Helper()
	id = i.submit("api", text)
	i.awaitBegun(text)
	pid := i.status().PID
	syscall.Kill(pid, syscall.SIGKILL)
	i.eventually("the end of the daemon", func() bool { return !locked(i.dir + "/state/iris/daemon.lock") })
	return id
}

// settle begins "iris daemon settle".
func (i *inn) settle(env ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	i.t.Helper()
	stderr = new(bytes.Buffer)
	cmd = i.command("daemon", "settle")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	return cmd, stderr
}

// ends waits for the end of a command that says want.
func ends(t *testing.T, cmd *exec.Cmd, said *bytes.Buffer, want string) {
	t.Helper()
	if err := cmd.Wait(); err != nil || said.String() != want {
		t.Errorf("got %v, %q, want %q", err, said, want)
	}
}

func TestSettleWaitsForTheEndOfATurn(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "api")
	gate, open := i.gate()
	id := i.widow("sleep:@" + gate)
	n := newNoticeBoard(t)
	cmd, said := i.settle("SERVICE_RESULT=success", "NOTIFY_SOCKET="+n.path)
	n.await("STATUS=1 agents finish their turns")
	open()
	ends(t, cmd, said, "")
	if left := processesOf(i.dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	i.run("status")
	if got := i.answer(id); got != "slept @"+gate {
		t.Errorf("got %q", got)
	}
}

func TestSettleEndsAnAgentThatHangsWithItsTools(t *testing.T) {
	t.Parallel()
	i := newInn(t, "orphan_timeout = \"1s\"", "api")
	i.ask("api", "fork:tied:1h")
	id := i.widow("hang:deaf")
	cmd, said := i.settle()
	ends(t, cmd, said, "")
	if left := processesOf(i.dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	i.run("status")
	var wire *ipc.Error
	if _, err := tell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{id}}); err != nil {
		t.Error(err)
	} else if _, err = tell[ipc.Reply](i, ipc.MethodResult, ipc.MessageRef{ID: id}); !errors.As(err, &wire) || wire.Code != ipc.CodeUnknown {
		t.Errorf("got %v", err)
	}
}

func TestSettleGivesWay(t *testing.T) {
	t.Parallel()
	i := newInn(t, "orphan_timeout = \"10m\"", "api")
	i.widow("hang:deaf")

	// To a daemon that systemd starts after a failure.
	for _, result := range []string{"exit-code", "signal", "watchdog"} {
		cmd, said := i.settle("SERVICE_RESULT=" + result)
		ends(t, cmd, said, "")
	}

	// To a signal.
	n := newNoticeBoard(t)
	cmd, said := i.settle("NOTIFY_SOCKET=" + n.path)
	n.await("STATUS=1 agents finish their turns")
	cmd.Process.Signal(syscall.SIGTERM)
	ends(t, cmd, said, "iris: 1 agent left at work; the next daemon has the answers\n")

	// To a command that starts a daemon.
	cmd, said = i.settle("NOTIFY_SOCKET=" + n.path)
	n.await("STATUS=1 agents finish their turns")
	i.run("status")
	ends(t, cmd, said, "")
	if i.ps()["api@"].PID == 0 {
		t.Error("the agent was not left to the daemon")
	}

	// To a running daemon.
	cmd, said = i.settle()
	ends(t, cmd, said, "")
	if st := mustTell[ipc.Stopped](i, ipc.MethodKill, ipc.Target{Team: "api"}); len(st.Stopped) != 1 {
		t.Errorf("got %+v", st)
	}
}

func TestSettleWithoutAnythingToDo(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "api")
	i.run("daemon", "stop")
	cmd, said := i.settle()
	ends(t, cmd, said, "")
	cmd, said = i.settle("XDG_STATE_HOME=" + t.TempDir())
	ends(t, cmd, said, "")
	if err := os.WriteFile(i.dir+"/config/iris/config.toml", []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, said = i.settle()
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "nonsense") {
		t.Errorf("got %v, %q", err, said)
	}
	i.configure("")
}
