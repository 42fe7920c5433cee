package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"iris/config/sys/systest"
)

// strace is its path, where a process may be traced.
func strace(t *testing.T) string {
	t.Helper()
	path := systest.Needs(t, "strace")
	if err := exec.Command(path, "-f", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skip("SKIPPED: needs a strace that works here:", err)
	}
	return path
}

// child runs a role of the test binary under strace, and returns its
// acknowledgements, and whether it was killed.
func child(t *testing.T, inject, role, path string) (acks []byte, killed bool) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(strace(t), "-f", "-qq", "-o", os.DevNull, "-e", "trace="+strings.SplitN(inject, ":", 2)[0],
		"-e", "inject="+inject, "--", os.Args[0], role, path)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), false
	case errors.As(err, &exit) && !exit.Exited(), errors.As(err, &exit) && exit.ExitCode() == 137:
		return out.Bytes(), true
	}
	t.Fatalf("%s: %v: %s", inject, err, errs.Bytes())
	return nil, false
}

// The calls by which a journal changes the disk.
var diskCalls = []string{"pwrite64", "fdatasync", "fsync", "ftruncate", "mkdirat", "unlinkat", "renameat"}

// TestEveryCrashPointRecovers kills the script at each call that changes the
// disk, and one in three times the recovery too.
func TestEveryCrashPointRecovers(t *testing.T) {
	points := 0
	for _, call := range diskCalls {
		for n := 1; ; n++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "journal")
			acks, killed := child(t, fmt.Sprintf("%s:signal=KILL:when=%d", call, n), "script", path)
			if !killed {
				break
			}
			points++
			if n%3 == 0 && testing.Short() == false {
				more, _ := child(t, fmt.Sprintf("%s:signal=KILL:when=%d", call, 1+n%7), "recover", path)
				acks = append(acks, more...)
			}
			if err := holds(path, acks); err != nil {
				t.Fatalf("killed at %s %d: %v", call, n, err)
			}
			os.RemoveAll(dir)
		}
	}
	if points < 30 {
		t.Fatalf("only %d kills: the script does not do what it should", points)
	}
	t.Logf("all of %d kills recovered", points)
}

// TestEveryCrashPointOfTheMigration kills it at each call that changes the
// disk: version 1 or 2 is there, whole.
func TestEveryCrashPointOfTheMigration(t *testing.T) {
	points := 0
	for _, call := range diskCalls {
		for n := 1; ; n++ {
			path := filepath.Join(t.TempDir(), "journal")
			writeVersion1(t, path)
			_, killed := child(t, fmt.Sprintf("%s:signal=KILL:when=%d", call, n), "recover", path)
			checkVersion1(t, path)
			if !killed {
				break
			}
			points++
		}
	}
	if points < 5 {
		t.Fatalf("only %d kills", points)
	}
	t.Logf("all of %d kills recovered", points)
}

// TestEveryFailedCallIsNotAcknowledged makes each call fail once, with EIO: earlier
// acknowledgements stay true, and nothing is acknowledged after it.
func TestEveryFailedCallIsNotAcknowledged(t *testing.T) {
	for _, call := range []string{"pwrite64", "fdatasync", "fsync"} {
		failed := 0
		for n := 1; n <= 12; n++ {
			path := filepath.Join(t.TempDir(), "journal")
			var out bytes.Buffer
			cmd := exec.Command(strace(t), "-f", "-qq", "-o", os.DevNull, "-e", "trace="+call,
				"-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, n), "--", os.Args[0], "insist", path)
			cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
			cmd.Stdout = &out
			cmd.Run()
			acks, after, stopped := bytes.Cut(out.Bytes(), []byte("stopped\n"))
			if stopped {
				failed++
			}
			if len(after) > 0 {
				t.Fatalf("%s %d: acknowledged after the failure: %s", call, n, after)
			}
			if err := holds(path, acks); err != nil {
				t.Fatalf("%s %d: %v", call, n, err)
			}
		}
		if failed < 3 {
			t.Fatalf("%s: %d failures were seen", call, failed)
		}
	}
}

func init() {
	// insist goes on after an error, as nothing should.
	roles["insist"] = func(args []string) {
		j, err := Open(args[0])
		if err != nil {
			os.Exit(0) // nothing was acknowledged
		}
		said := false
		for i := range 12 {
			n := message(i)
			if i%4 == 3 {
				n.Body = make([]byte, inFile+1)
			}
			m, err := j.Accept(n)
			if err == nil {
				b, _ := json.Marshal(fact{ID: m.ID, State: m.State, Body: len(n.Body)})
				os.Stdout.Write(append(b, '\n'))
			} else if !said {
				said = true
				os.Stdout.WriteString("stopped\n")
			}
		}
		j.Close()
	}
}
