package adapter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool/adapter/adaptertest"
)

// Where no daemon looks after an adapter, its program ends with it too.
func TestProgramIsKilledWithItsAdapter(t *testing.T) {
	argv := append(self(t, "agent", "acp", "--session-id="+theSession, "--"), adaptertest.Command("deaf")...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = t.TempDir()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Write([]byte(`{"type":"control_request","request_id":"i","request":{"subtype":"initialize"}}` + "\n"))
	out.Read(make([]byte, 1)) // the program is there
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/*/children")
	program := 0
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil {
			program = pid
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	for end := time.Now().Add(patience); program == 0 || syscall.Kill(program, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if stat, _ := os.ReadFile("/proc/" + strconv.Itoa(program) + "/stat"); strings.Contains(string(stat), ") Z ") {
			break // nobody has reaped it
		}
		if time.Now().After(end) {
			syscall.Kill(program, syscall.SIGKILL)
			t.Fatalf("program %d lives without its adapter", program)
		}
	}
}
