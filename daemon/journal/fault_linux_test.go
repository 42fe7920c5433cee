package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"iris/config/sys/systest"
)

// breakWrites puts another file behind the journal's descriptor, so that its
// writes fail as the kernel says.
func breakWrites(t *testing.T, j *Journal, name string) (fix func()) {
	t.Helper()
	other, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		other, err = os.Open(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fd := int(j.raw.Fd())
	kept := must1(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0))(t)
	if err := unix.Dup3(int(other.Fd()), fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		unix.Dup3(kept, fd, unix.O_CLOEXEC)
		unix.Close(kept)
	})
}

func TestAFailedFsyncStopsTheJournalForGood(t *testing.T) {
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	pipe := filepath.Join(t.TempDir(), "pipe") // cannot be synced, nor written at an offset
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	fix := breakWrites(t, j, pipe)
	_, err := j.Accept(message(2))
	fix() // the disk "works" again, as after a failed fsync
	s, ok := errors.AsType[*StoppedError](err)
	if !ok || s.Full || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
	big := message(3)
	big.Body = make([]byte, inFile+1)
	for name, call := range map[string]func() error{
		"accept":  func() error { _, err := j.Accept(message(3)); return err },
		"large":   func() error { _, err := j.Accept(big); return err },
		"end":     func() error { _, err := j.End(messageID(1), End{State: Failed}); return err },
		"session": func() error { return j.SetSession("api", Session{}) },
		"read":    func() error { _, err := j.Message(messageID(1)); return err },
		"list": func() error {
			for _, err := range j.List(Filter{}) {
				return err
			}
			return nil
		},
		"size":  func() error { _, err := j.Size(); return err },
		"prune": func() error { _, err := j.Prune(context.Background(), at(0), at(0)); return err },
		"check": j.Check,
		"retry": j.Retry,
	} {
		if err := call(); !errors.Is(err, s.Err) {
			t.Errorf("%s after it: got %v", name, err)
		}
	}
	j.Close()
	j = mustOpen(t, path)
	if _, err := j.Message(messageID(1)); err != nil {
		t.Fatal("what was acknowledged is lost:", err)
	}
}

func TestAFullDiskStopsAndIsRetried(t *testing.T) {
	if !systest.Alone(t, nil) {
		return
	}
	j, path := tempJournal(t)
	mustReach(t, j, 1, Running)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	full := func(on bool) {
		l := old
		if on {
			l.Cur = 8 << 10
		}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	full(true)
	_, err := j.End(messageID(1), done("in hand"))
	_, large := j.Accept(New{ID: "big", Team: "api", Body: make([]byte, inFile+1)})
	again := j.Retry()
	full(false)
	for _, err := range []error{err, large, again} {
		if s, ok := errors.AsType[*StoppedError](err); !ok || !s.Full || !errors.Is(err, syscall.EFBIG) {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := j.Message(messageID(1)); err == nil {
		t.Fatal("a stopped journal answers")
	}
	if err := j.Retry(); err != nil {
		t.Fatal(err)
	}
	must1(j.End(messageID(1), done("in hand")))(t)
	mustAccept(t, j, message(2))
	j.Close()
	j = mustOpen(t, path)
	if r := must1(j.Result(messageID(1)))(t); r.Text != "in hand" {
		t.Fatalf("got %+v", r)
	}
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskRefusesALargeBodyAlone(t *testing.T) {
	if !systest.Alone(t, nil) {
		return
	}
	j, _ := tempJournal(t)
	mustAccept(t, j, message(1))
	if err := os.WriteFile(filepath.Join(filepath.Dir(j.path), "full"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	l := old
	l.Cur = 6 << 20 // more than the journal has, less than the body
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
	_, err := j.Accept(New{ID: "big", Team: "api", Body: make([]byte, 8<<20)})
	unix.Setrlimit(unix.RLIMIT_FSIZE, &old)
	if s, ok := errors.AsType[*StoppedError](err); !ok || !s.Full {
		t.Fatalf("got %v", err)
	}
	mustAccept(t, j, message(2))
	if files := must1(os.ReadDir(j.dir))(t); len(files) != 0 {
		t.Fatalf("left: %v", files)
	}
}

// An end that is not on record is never passed over: the next answer would be taken
// for its answer.
func TestAResultThatCannotBeStoredStopsTheJournal(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	if err := os.WriteFile(j.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := j.End(messageID(1), done(strings.Repeat("x", inFile+1)))
	if s, ok := errors.AsType[*StoppedError](err); !ok || s.Full {
		t.Fatalf("got %v", err)
	}
	if _, err := j.Accept(message(2)); err == nil {
		t.Fatal("it goes on")
	}
}

func TestWithoutDescriptorsTheJournalWaits(t *testing.T) {
	if !systest.Alone(t, nil) {
		return
	}
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	for n := 2; ; n++ { // until it has grown, which it would have to do at the write below
		mustAccept(t, j, message(n))
		if info, err := os.Stat(j.path); err != nil || info.Size() >= growSize {
			break
		}
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	end := done(strings.Repeat("x", inFile+1))
	_, err := j.End(messageID(1), end)
	fix := systest.LimitFiles(t, 8<<10)
	_, write := j.Accept(New{ID: "more", Team: "api"})
	fix()
	again := j.Retry()
	_, read := j.Message(messageID(1))
	third := j.Retry()
	unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	for i, err := range []error{err, write, again, read, third} {
		if s, ok := errors.AsType[*StoppedError](err); !ok || !s.Full {
			t.Fatalf("%d: got %v", i, err)
		}
	}
	if err := j.Retry(); err != nil {
		t.Fatal(err)
	}
	must1(j.End(messageID(1), end))(t)
}

// A journal whose name may be lost in a power failure acknowledges nothing.
func TestNothingIsAcknowledgedBeforeTheNameIsOnDisk(t *testing.T) {
	if !systest.Alone(t, nil) {
		return
	}
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	j.Close()
	j = mustOpen(t, path)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 3 // its directory cannot be opened, and so not be synced
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err := j.Accept(message(2))
	unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	if _, ok := errors.AsType[*StoppedError](err); !ok {
		t.Fatalf("got %v", err)
	}
	if err := j.Retry(); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, j, message(2))
}

func TestARefusalIsNotAnAnswerWhenItsGroupIsLost(t *testing.T) {
	j, _ := tempJournal(t)
	mustAccept(t, j, message(1))
	defer breakWrites(t, j, "/dev/full")()
	refusal := errors.New("refused, because of the change before it")
	errs := group(j,
		func(tx *txn) error { return putJSON(tx, bucketSessions, []byte("k"), Session{}) },
		func(*txn) error { return refusal },
	)
	for _, err := range errs {
		if _, ok := errors.AsType[*StoppedError](err); !ok {
			t.Fatalf("got %v", errs)
		}
	}
}

func TestOnlyAFailedWriteCanBeForWantOfRoom(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&fs.PathError{Op: "write", Err: syscall.ENOSPC}, true},
		{&fs.PathError{Op: "write", Err: syscall.EDQUOT}, true},
		{&fs.PathError{Op: "write", Err: syscall.EIO}, false},
		{&fs.PathError{Op: "open", Err: syscall.ENOSPC}, true},
		{&fs.PathError{Op: "open", Err: syscall.EMFILE}, true},
		{&fs.PathError{Op: "open", Err: syscall.EACCES}, false},
		{&fs.PathError{Op: "mkdir", Err: syscall.EDQUOT}, true},
		{&fs.PathError{Op: "sync", Err: syscall.ENOSPC}, false},
		{syscall.ENOSPC, false}, // bbolt's fdatasync
	} {
		if got := noRoom(c.err); got != c.want {
			t.Errorf("%v: got %v", c.err, got)
		}
	}
}
