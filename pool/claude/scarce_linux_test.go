package claude

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"iris/pool/turn"
)

// withoutDescriptors calls f while no file can be opened.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	f()
}

// When a file cannot be opened, nothing is known about the agent: it must not be
// taken for dead, nor its output for gone.
func TestAgentIsNotTakenForDeadForWantOfDescriptors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.p.out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	l := Orphan{Path: path}
	var alive bool
	var left, settled, owned error
	withoutDescriptors(t, func() {
		alive = l.Alive()
		_, left = Orphans(dir)
		_, settled = ReadOutcome(dir, "p", 0, "", false)
		_, owned = liveOwner(dir, "s")
	})
	if !alive {
		t.Error("a living agent is dead")
	}
	for name, err := range map[string]error{"orphans": left, "outcome": settled, "owner": owned} {
		if err == nil || errors.Is(err, fs.ErrNotExist) || !Scarce(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if owner, err := liveOwner(dir, "s"); owner != "p" || err != nil {
		t.Errorf("owner: got %q, %v", owner, err)
	}
	os.Rename(path, filepath.Join(dir, "s.p.json"))
	if l.Alive() {
		t.Error("it lives without its spool")
	}
	if _, err := ReadOutcome(dir, "p", 0, "", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a spool: %v", err)
	}
	if left, err := Orphans(filepath.Join(dir, "missing")); len(left) > 0 || err != nil {
		t.Errorf("without a directory: %v, %v", left, err)
	}
}

// While the daemon has no descriptor for the record of a turn, its message waits: the
// agent is well, and another one would not help.
func TestMessageWaitsForADescriptorForItsRecord(t *testing.T) {
	r := fakeRig(t)
	log := make(lines, 100)
	r.o.Log = slog.New(slog.NewTextHandler(log, nil))
	p := r.start()
	ask(t, p, "echo:one", "one")
	var res *turn.Result
	var err error
	var wg sync.WaitGroup
	withoutDescriptors(t, func() {
		over := make(chan struct{})
		wg.Go(func() {
			defer close(over)
			res, err = p.Send(t.Context(), &Message{Text: "echo:two"})
		})
		for waits := false; !waits; {
			select {
			case line := <-log:
				waits = strings.Contains(line, "message waits")
			case <-over:
				waits = true
			}
		}
	})
	wg.Wait()
	if err != nil || res.Text != "two" {
		t.Errorf("got %+v, %v", res, err)
	}
}

// lines takes what is logged.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}
