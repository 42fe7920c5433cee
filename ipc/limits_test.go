package ipc

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// speak connects without a Client.
func speak(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	nc, err := net.Dial("unix", path)
	must(t, err)
	t.Cleanup(func() { nc.Close() })
	return nc.(*net.UnixConn)
}

// fill writes zeros within a string, n bytes of them.
func fill(w io.Writer, n int) error {
	chunk := bytes.Repeat([]byte("0"), 1<<20)
	for n > 0 {
		k, err := w.Write(chunk[:min(n, len(chunk))])
		if n -= k; err != nil {
			return err
		}
	}
	return nil
}

// peak returns by how much the heap grew at most while f ran.
func peak(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(5)) // close to what is alive
	var most uint64
	var ms runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&ms)
	base := ms.HeapAlloc
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&ms)
			most = max(most, ms.HeapAlloc)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	f()
	close(done)
	wg.Wait()
	return most - min(base, most)
}

func TestHugeFrameIsRefusedWithinTheLimit(t *testing.T) {
	s := testServer(Options{})
	path := start(t, s)
	nc := speak(t, path)
	var answer []byte
	grown := peak(func() {
		io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"`)
		if err := fill(nc, 100<<20); err == nil {
			t.Error("all of 100 MB was taken")
		}
		answer, _ = io.ReadAll(nc)
	})
	if !strings.Contains(string(answer), `"id":null`) || !strings.Contains(string(answer), "33554432") {
		t.Errorf("got %s, want the limit", answer)
	}
	if grown > 7*MaxFrame/4 { // the last two buffers, for as long as one is copied
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	eventually(t, "nothing is reserved", func() bool { return s.assembly.Load() == 0 })
	mustCall(t, dial(t, path), "status", nil, nil)
}

func TestFrameAtTheLimitIsAccepted(t *testing.T) {
	const limit = 1 << 20
	path := start(t, testServer(Options{MaxFrame: limit}))
	head, tail := `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"`, `"}}`
	for _, over := range []int{0, 1} {
		nc := speak(t, path)
		io.WriteString(nc, head)
		must(t, fill(nc, limit-len(head)-len(tail)+over))
		io.WriteString(nc, tail+"\n")
		nc.CloseWrite()
		answer, _ := io.ReadAll(nc)
		if ok := bytes.Contains(answer, []byte(`"result"`)); ok != (over == 0) {
			t.Errorf("%d bytes over the limit: got %.100s", over, answer)
		}
	}
}

func TestClientKnowsTheLimit(t *testing.T) {
	c := dial(t, start(t, testServer(Options{})))
	err := c.Call(soon(t), "echo", echoParams{Text: strings.Repeat("x", MaxFrame)}, nil)
	if !errors.Is(err, &Error{Code: CodeUsage}) || !strings.Contains(err.Error(), "33554432") {
		t.Errorf("got %v", err)
	}
	mustCall(t, c, "status", nil, nil)
}

func TestFramesUnderAssemblyAreBoundedTogether(t *testing.T) {
	s := testServer(Options{MaxFrame: 1 << 20, MaxAssembly: 2 << 20})
	path := start(t, s)
	first := speak(t, path)
	io.WriteString(first, `{"jsonrpc":"2.0","id":1,"method":"wait","params":{"text":"`)
	must(t, fill(first, 700<<10))
	eventually(t, "the first is being assembled", func() bool { return s.assembly.Load() >= 1<<20 })

	second := speak(t, path)
	io.WriteString(second, `{"jsonrpc":"2.0","id":1,"method":"wait","params":{"text":"`)
	fill(second, 900<<10)
	if answer, _ := io.ReadAll(second); !strings.Contains(string(answer), `"code":75`) {
		t.Errorf("the second: got %s", answer)
	}
	mustCall(t, dial(t, path), "echo", echoParams{Text: "small"}, nil)

	io.WriteString(first, "\"}}\n") // held for as long as its call has not bound it
	io.WriteString(first, `{"jsonrpc":"2.0","id":2,"method":"echo"}`+"\n")
	buf := make([]byte, 1000)
	if n, _ := first.Read(buf); !strings.Contains(string(buf[:n]), `"id":2`) {
		t.Errorf("got %s", buf[:n])
	}
	if s.assembly.Load() < 700<<10 {
		t.Errorf("the text of a call in flight does not count: %d", s.assembly.Load())
	}
	first.Close()
	eventually(t, "nothing is reserved", func() bool { return s.assembly.Load() == 0 })
}

func TestDeepJSONIsRefused(t *testing.T) {
	path := start(t, testServer(Options{}))
	for _, depth := range []int{10_001, 5_000_000} {
		nc := speak(t, path)
		io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":`+strings.Repeat("[", depth)+"\n"+statusLine)
		nc.CloseWrite()
		answers, _ := io.ReadAll(nc)
		if got := digest(t, strings.Split(strings.TrimSpace(string(answers)), "\n")); got != "null: -32600, 1: ok" {
			t.Errorf("%d levels: got %q", depth, got)
		}
	}
}

func TestGarbageDoesNoHarm(t *testing.T) {
	path := start(t, testServer(Options{}))
	r := rand.NewChaCha8([32]byte{1})
	for range 20 {
		nc := speak(t, path)
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, nc) })
		garbage := make([]byte, 10_000)
		r.Read(garbage)
		nc.Write(garbage)
		const near = "{}[]\",:\\u0e1-+. tfn\n" // gets further
		for i := range garbage {
			garbage[i] = near[int(garbage[i])%len(near)]
		}
		nc.Write(garbage)
		nc.Close()
		wg.Wait()
	}
	mustCall(t, dial(t, path), "status", nil, nil)
}

func TestClientNumber1025(t *testing.T) {
	s := testServer(Options{})
	path := start(t, s)
	var all []io.Closer
	defer func() {
		for _, nc := range all {
			nc.Close()
		}
	}()
	for range MaxClients {
		nc, err := connect(soon(t), path)
		must(t, err)
		all = append(all, nc)
	}
	eventually(t, "all are in", func() bool { return s.Clients() == MaxClients })
	c := dial(t, path)
	err := c.Call(soon(t), "status", nil, nil)
	if !errors.Is(err, &Error{Code: CodeFull}) || !strings.Contains(err.Error(), "1024") {
		t.Errorf("got %v", err)
	}
	all[0].Close()
	eventually(t, "one has left", func() bool { return s.Clients() < MaxClients })
	mustCall(t, dial(t, path), "status", nil, nil)
}

func TestIdleConnectionsHoldNoLargeBuffer(t *testing.T) {
	s := testServer(Options{})
	path := start(t, s)
	const n = 20
	var clients []*Client
	heap := func() uint64 {
		var ms runtime.MemStats
		runtime.GC()
		runtime.GC() // pools let go in two steps
		runtime.ReadMemStats(&ms)
		return ms.HeapAlloc
	}
	before := heap()
	for range n {
		c := dial(t, path)
		clients = append(clients, c)
		mustCall(t, c, "echo", echoParams{Text: strings.Repeat("x", 300<<10)}, nil)
		mustCall(t, c, "echo", echoParams{Text: strings.Repeat("x", 10<<10)}, nil)
		mustCall(t, c, "count", echoParams{N: 1000}, nil)
	}
	each := (max(heap(), before) - before) / n
	if each > 40<<10 { // both ends
		t.Errorf("an idle connection holds %d bytes", each)
	}
	if got := s.assembly.Load(); got != 0 {
		t.Errorf("%d bytes are reserved", got)
	}
	runtime.KeepAlive(clients)
}
