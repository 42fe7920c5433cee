package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool"
)

func init() { roles["fulldisk"] = playFullDisk }

// playFullDisk starts an agent whose spool is on a disk without room for an
// answer, and another one whose disk is full when its turn is to begin.
func playFullDisk() {
	var a part
	json.Unmarshal([]byte(os.Getenv("IRIS_TEST_PART")), &a)
	f, _ := NewFollower()
	o := Options{
		ID: a.ID, Command: a.Command, Dir: a.Dir, Env: a.Env, Spools: a.Spools, SessionID: a.SessionID,
		StartTimeout: slow, Grace: time.Second, Follower: f,
	}
	if err := syscall.Mount("tmpfs", a.Spools, "tmpfs", 0, "size=512k"); err != nil {
		fmt.Println("SKIP", err)
		return
	}
	_, err := Start(context.Background(), o)
	fmt.Println(errors.Is(err, syscall.ENOSPC))
	syscall.Unmount(a.Spools, 0)
	syscall.Mount("tmpfs", a.Spools, "tmpfs", 0, "size=1500k")
	p, err := Start(context.Background(), o)
	if err != nil {
		panic(err)
	}
	fill, _ := os.Create(filepath.Join(a.Spools, "fill"))
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	_, err = p.Send(context.Background(), &pool.Turn{Text: "echo:x"})
	fmt.Println(errors.Is(err, pool.ErrNotDispatched), err)
	p.Stop()
}

func TestDiskFull(t *testing.T) {
	r := fakeRig(t)
	if err := os.MkdirAll(r.o.Spools, 0o700); err != nil {
		t.Fatal(err)
	}
	told, _ := json.Marshal(part{ID: r.o.ID, Command: r.o.Command, Dir: r.o.Dir, Spools: r.o.Spools, SessionID: r.o.SessionID, Env: r.o.Env})
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"=fulldisk", "IRIS_TEST_PART="+string(told))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 || strings.HasPrefix(string(out), "SKIP") {
		t.Skipf("SKIPPED: no file system of our own: %v, %s", err, out)
	}
	if want := "true\ntrue not dispatched: no room for the answer in " + r.o.Spools + ": no space left on device"; strings.TrimSpace(string(out)) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
