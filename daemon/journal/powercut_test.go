package journal

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// trace runs a role of the test binary and returns its changes of the disk.
func trace(t *testing.T, role, path string) []call {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	var errs bytes.Buffer
	cmd := exec.Command(strace(t), "-f", "-qq", "-y", "-xx", "-s", "10000000", "-o", log,
		"-e", "trace=openat,write,pwrite64,fsync,fdatasync,ftruncate,mkdirat,unlinkat,linkat,renameat,renameat2",
		"--", os.Args[0], role, path)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", role, err, errs.Bytes())
	}
	b := must1(os.ReadFile(log))(t)
	return readTrace(t, b, filepath.Dir(path))
}

// replay stops a trace after each of its calls, in each way, and calls check with a
// directory of the remaining data, and with the output until then.
func replay(t *testing.T, d *disk, calls []call, dir string, check func(stop int, how cut, dir string, said []byte)) {
	t.Helper()
	var said []byte
	root := t.TempDir()
	for i, c := range calls {
		if c.name == "say" {
			said = append(said, c.data...)
		} else {
			d.apply(c)
		}
		for _, how := range cuts {
			to := must1(os.MkdirTemp(root, "cut"))(t)
			d.write(t, dir, to, how)
			check(i+1, how, to, said)
			os.RemoveAll(to)
		}
	}
}

// TestNothingAcknowledgedIsLostInAPowerCut stops the script after each system call
// that changes the disk: by a kill, which loses no written data, and by power cuts
// that lose all, some or a little of the unsynced data. After some of them the
// recovery is stopped in the same ways.
func TestNothingAcknowledgedIsLostInAPowerCut(t *testing.T) {
	dir := t.TempDir()
	calls := trace(t, "script", filepath.Join(dir, "journal"))
	points, pairs := 0, 0
	replay(t, newDisk(), calls, dir, func(stop int, how cut, at string, said []byte) {
		points++
		path := filepath.Join(at, "journal")
		if err := holds(path, said); err != nil {
			t.Fatalf("%s after call %d of %d: %v", how.name, stop, len(calls), err)
		}
		if stop%60 == 0 && how.name != "killed" {
			pairs += recoverAgain(t, at, said)
		}
	})
	if points < 300 {
		t.Fatalf("only %d points: the script does not do what it should", points)
	}
	t.Logf("%d of %d cuts recovered, at %d system calls", points, points, len(calls))
	if pairs < 50 {
		t.Fatalf("only %d cuts in recoveries", pairs)
	}
	t.Logf("%d of %d cuts in the recovery from some of them recovered", pairs, pairs)
}

// recoverAgain stops the recovery after a cut, after each of its own calls.
func recoverAgain(t *testing.T, dir string, said []byte) (points int) {
	d := loadDisk(t, dir)
	calls := trace(t, "recover", filepath.Join(dir, "journal"))
	replay(t, d, calls, dir, func(stop int, how cut, at string, later []byte) {
		points++
		if err := holds(filepath.Join(at, "journal"), append(bytes.Clone(said), later...)); err != nil {
			t.Fatalf("recovery %s after call %d of %d: %v", how.name, stop, len(calls), err)
		}
	})
	return points
}

// TestAPowerCutInTheMigrationLosesNothing does the same with a journal of
// version 1.
func TestAPowerCutInTheMigrationLosesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	writeVersion1(t, path)
	d := loadDisk(t, dir)
	calls := trace(t, "recover", path)
	points := 0
	replay(t, d, calls, dir, func(stop int, how cut, at string, _ []byte) {
		points++
		checkVersion1(t, filepath.Join(at, "journal"))
	})
	if points < 20 {
		t.Fatalf("only %d points", points)
	}
	t.Logf("%d of %d cuts recovered, at %d system calls", points, points, len(calls))
}
