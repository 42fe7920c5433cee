package claude

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"iris/pool/procs"
)

// silent is an agent that costs next to nothing: it gets ready and waits.
const silent = `read l; echo '{"type":"control_response","response":{"subtype":"success","request_id":"iris-1","response":{}}}'; read l; exit 0`

// A live agent takes at most 30 KB of the daemon. IRIS_TEST_AGENTS says how
// many are started.
func TestMemoryOfAnAgent(t *testing.T) {
	n := 100
	if s := os.Getenv("IRIS_TEST_AGENTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	r := newRig(t)
	r.o.Command, r.o.Prefix, r.o.Log = "/bin/sh", []string{"-c", silent}, nil
	for i := range 40 {
		r.o.Env = append(r.o.Env, fmt.Sprintf("A_VARIABLE_OF_SOME_LENGTH_%d=and a value of its own", i))
	}
	before, fds, rss := inUse(), count("/proc/self/fd"), procs.Memory(os.Getpid())
	all := make([]*Process, n)
	for i := range all {
		o := r.o
		o.ID, o.SessionID = fmt.Sprintf("%s-%d", r.o.ID, i), NewSessionID()
		p, err := Start(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = p
	}
	each := (inUse() - before) / int64(n)
	t.Logf("%d agents: %d bytes of heap and stacks each, %d bytes of memory, %d descriptors each, %d threads",
		n, each, (procs.Memory(os.Getpid())-rss)/int64(n), (count("/proc/self/fd")-fds)/n, count("/proc/self/task"))
	if got := (count("/proc/self/fd") - fds) / n; got > 4 {
		t.Errorf("an agent takes %d descriptors, more than stdin, spool and two pidfds", got)
	}
	if each > 30<<10 {
		t.Errorf("an agent takes %d bytes, more than 30 KB", each)
	}
	begun := time.Now()
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(p.Stop)
	}
	wg.Wait()
	t.Logf("stopped in %v", time.Since(begun))
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func count(dir string) int {
	entries, _ := os.ReadDir(dir)
	return len(entries)
}

// After a turn with a big answer the driver keeps nothing of it in memory.
func TestBigTurnLeavesNothingBehind(t *testing.T) {
	r := fakeRig(t)
	r.o.Log = nil
	p := r.start()
	ask(t, p, "echo:hi", "hi")
	before := inUse()
	if res := send(t, p, "size:8000000"); len(res.Text) != 8000000 {
		t.Fatal(len(res.Text))
	}
	ask(t, p, "echo:hi", "hi")
	if more := inUse() - before; more > 1<<20 {
		t.Errorf("%d bytes are still in use", more)
	}
}
