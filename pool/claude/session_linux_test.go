package claude

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"iris/pool/procs"
)

// The files of a killed agent are removed, and no files of another process.
func TestRealTracesOfAKilledAgent(t *testing.T) {
	r := realRig(t)
	p := r.start()
	q := func() *Process {
		r.o.ID, r.o.SessionID = r.o.ID+"o", NewSessionID()
		return r.start()
	}()
	for _, a := range []*Process{p, q} {
		eventually(t, "its session file", func() bool { return len(tracesOf(t, r, a)) > 0 })
	}
	p.ident.Signal(syscall.SIGKILL)
	<-p.Done()
	if left := tracesOf(t, r, p); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if len(tracesOf(t, r, q)) == 0 {
		t.Error("that of a live one is gone")
	}
}

// So is what one has left that was killed together with its daemon.
func TestRealTracesOfAnAgentKilledWithItsDaemon(t *testing.T) {
	r := realRig(t)
	p := r.start()
	eventually(t, "its session file", func() bool { return len(tracesOf(t, r, p)) > 0 })
	rec, err := readRecord(p.spool.path(".out"))
	if err != nil {
		t.Fatal(err)
	}
	p.spool.mu.Lock()
	p.spool.rec.Config = "" // this daemon forgets about it
	p.spool.mu.Unlock()
	p.ident.Signal(syscall.SIGKILL)
	<-p.Done()
	if len(tracesOf(t, r, p)) == 0 {
		t.Fatal("nothing is left: this proves nothing")
	}
	dir := t.TempDir()
	line, _ := json.Marshal(rec)
	for _, ext := range []string{".json", ".out"} {
		if err := os.WriteFile(filepath.Join(dir, rec.base()+ext), line, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := CleanSpools(dir, nil); err != nil {
		t.Error(err)
	}
	if left := tracesOf(t, r, p); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// tracesOf lists what there is of a process in the program's directory.
func tracesOf(t *testing.T, r *rig, p *Process) []string {
	t.Helper()
	pid := strconv.Itoa(p.PID())
	files, err := filepath.Glob(filepath.Join(ConfigDir(r.o.Env), "sessions", pid+".*"))
	if err != nil {
		t.Fatal(err)
	}
	sockets, _ := filepath.Glob("/tmp/cc-socks/" + pid + ".sock")
	return append(files, sockets...)
}

func TestOnlyTracesOfThisProcessGo(t *testing.T) {
	config := t.TempDir()
	dir := filepath.Join(config, "sessions")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "3600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := procs.Identify(cmd.Process.Pid)
	socket := filepath.Join(t.TempDir(), fmt.Sprint(id.PID, ".sock"))
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	file, key := filepath.Join(dir, fmt.Sprint(id.PID, ".json")), filepath.Join(dir, fmt.Sprint(id.PID, ".abc.key"))
	is := func(start uint64) {
		t.Helper()
		line := fmt.Sprintf(`{"pid":%d,"procStart":"%d","messagingSocketPath":%q}`, id.PID, start, socket)
		for path, text := range map[string]string{file: line, key: "k"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	there := func(want bool, why string) {
		t.Helper()
		for _, path := range []string{file, key, socket} {
			if _, err := os.Lstat(path); (err == nil) != want {
				t.Errorf("%s: %s: %v", why, path, err)
			}
		}
	}
	is(id.Start)
	forgetProcess(config, id)
	there(true, "it lives")
	cmd.Process.Kill()
	cmd.Wait()
	is(id.Start + 1)
	forgetProcess(config, id)
	there(true, "the number is another's")
	is(id.Start)
	forgetProcess(config, id)
	there(false, "it is gone")
}
