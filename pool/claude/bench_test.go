package claude

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"iris/pool/claude/claudetest"
)

// pipes is the plainest driver there can be: two pipes, one line each way.
type pipes struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func startPipes(b testing.TB, o *Options) *pipes {
	b.Helper()
	cmd := exec.Command(o.Command, o.argv()[1:]...)
	cmd.Dir, cmd.Env = o.Dir, o.environ()
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r.Close()
	p := &pipes{cmd, w, bufio.NewReaderSize(out, 1<<20)}
	b.Cleanup(func() {
		w.Close()
		cmd.Wait()
	})
	fmt.Fprintln(w, `{"type":"control_request","request_id":"r","request":{"subtype":"initialize"}}`)
	p.until(b, "control_response")
	return p
}

func (p *pipes) until(b testing.TB, typ string) []byte {
	for {
		line, err := p.out.ReadBytes('\n')
		if err != nil {
			b.Fatal(err)
		}
		if got, _, _ := route(line); got == typ {
			return line
		}
	}
}

func (p *pipes) ask(b testing.TB, text string) {
	fmt.Fprintf(p.in, `{"type":"user","message":{"role":"user","content":%q}}`+"\n", text)
	var r struct{ Result string }
	if err := json.Unmarshal(p.until(b, "result"), &r); err != nil || r.Result != "hi" {
		b.Fatal(err, r)
	}
	p.until(b, "system") // idle
}

// BenchmarkRealTurn takes turns between the driver and two bare pipes, so that
// both see the same machine, and reports the medians and their ratio.
func BenchmarkRealTurn(b *testing.B) {
	r := realRig(b)
	driver := r.start()
	r.o.SessionID = NewSessionID()
	bare := startPipes(b, &r.o)
	send(b, driver, "echo:hi")
	bare.ask(b, "echo:hi")
	var ours, theirs []time.Duration
	for b.Loop() {
		begun := time.Now()
		send(b, driver, "echo:hi")
		ours = append(ours, time.Since(begun))
		begun = time.Now()
		bare.ask(b, "echo:hi")
		theirs = append(theirs, time.Since(begun))
	}
	m, n := median(ours), median(theirs)
	b.ReportMetric(float64(m.Microseconds()), "driver-us")
	b.ReportMetric(float64(n.Microseconds()), "pipes-us")
	b.ReportMetric(float64(m)/float64(n), "ratio")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkTurn is the driver's own part: the agent answers at once.
func BenchmarkTurn(b *testing.B) {
	p := fakeRig(b).start()
	for b.Loop() {
		send(b, p, "echo:hi")
	}
}

func BenchmarkResultLine(b *testing.B) {
	text, _ := json.Marshal(claudetest.Text(8 << 20))
	line := fmt.Appendf(nil, `{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":%s,"session_id":"x","total_cost_usd":1.5,"usage":{"input_tokens":1},"permission_denials":[]}`, text)
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for b.Loop() {
			if r, ok := parseResult(line); !ok || len(r.Text) != 8<<20 {
				b.Fatal(ok, len(r.Text))
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for b.Loop() {
			var r struct{ Result string }
			if err := json.Unmarshal(line, &r); err != nil || len(r.Result) != 8<<20 {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	line := slices.Concat([]byte(`{"type":"assistant","message":{"content":[{"type":"text","text":"`), slices.Repeat([]byte("x"), 8<<20), []byte(`"}]}}`))
	for b.Loop() {
		if typ, _, ok := route(line); typ != "assistant" || !ok {
			b.Fatal(typ)
		}
	}
}

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
	before, fds, rss := inUse(), count("/proc/self/fd"), pss(os.Getpid())
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
		n, each, (pss(os.Getpid())-rss)/int64(n), (count("/proc/self/fd")-fds)/n, count("/proc/self/task"))
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

// After a turn with a big answer the driver holds none of it.
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
