//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
)

// A crowded house has one agent, which is busy, so that every message only waits.
func crowdedHouse(b *testing.B) *house {
	h := newHouse(b, buildIris(b), "max_processes = 1\nqueue_limit = 1000000\nstop_grace = \"100ms\"\n")
	h.run("ps")
	submit(b, h.dial(), "blocker", "/sleep 1h")
	return h
}

// dial connects to the daemon of the house.
func (h *house) dial() *ipc.Client {
	h.b.Helper()
	c, err := ipc.Dial(context.Background(), filepath.Join(h.dir, "run", "iris", "iris.sock"), ipc.Hello{Version: "bench"})
	if err != nil {
		h.b.Fatal(err)
	}
	h.b.Cleanup(func() { c.Close() })
	return c
}

func submit(b testing.TB, c *ipc.Client, session, text string) {
	b.Helper()
	var st ipc.MessageState
	err := c.Call(context.Background(), ipc.MethodSubmit, &ipc.Send{Team: "echo", Session: session, Text: text}, &st)
	if err != nil || st.ID == "" {
		b.Fatalf("submit: %+v, %v", st, err)
	}
}

// syncer returns a function that writes n bytes to a file beside the journal and
// syncs them.
func (h *house) syncer(n int) func() {
	f, err := os.Create(filepath.Join(h.dir, "state", "sync"))
	if err != nil {
		h.b.Fatal(err)
	}
	h.b.Cleanup(func() { f.Close() })
	b := make([]byte, n)
	f.WriteAt(make([]byte, 1<<20), 0)
	f.Sync()
	i := 0
	return func() {
		i++
		b[0]++
		if _, err := f.WriteAt(b, int64(i%16*n)); err != nil {
			h.b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			h.b.Fatal(err)
		}
	}
}

// pages is about what one accepted message writes: the leaves and branches that
// it is on, and the two ends of the file.
const pages = 8 * 4096

// BenchmarkAccept compares the acceptance of a message over the socket, which is
// on disk when it is answered, with an fdatasync of as many bytes.
func BenchmarkAccept(b *testing.B) {
	h := crowdedHouse(b)
	c := h.dial()
	for b.Loop() {
		t := inTurns(few(2000, 20), h.syncer(pages), func() { submit(b, c, "s", "a message of the usual size") })
		publish(b, map[string]float64{
			"x-fdatasync":  over(t[1].median(), t[0].median()),
			"us-accept":    ms(t[1].median()) * 1000,
			"us-fdatasync": ms(t[0].median()) * 1000,
		}, "accepted in %.0f us, p50; fdatasync of %d KB %.0f us: ratio %.2f",
			ms(t[1].median())*1000, pages>>10, ms(t[0].median())*1000, over(t[1].median(), t[0].median()))
	}
}

// BenchmarkAcceptCrowd has 64 senders at once, each waiting for its id before it
// sends the next message, while a listing of all messages goes round.
func BenchmarkAcceptCrowd(b *testing.B) {
	h := crowdedHouse(b)
	each := few(1000, 20)
	for b.Loop() {
		plain := h.crowd(each)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { h.list(stop) })
		listed := h.crowd(each)
		close(stop)
		wg.Wait()
		sync := h.syncer(4096)
		var syncs times
		for range few(500, 5) {
			syncs = append(syncs, taking(sync))
		}
		publish(b, map[string]float64{"accepts/s": plain, "accepts/s-while-listing": listed, "us-fdatasync": ms(syncs.median()) * 1000},
			"64 senders: %.0f messages accepted a second, %.0f while all are listed again and again; fdatasync %.0f us",
			plain, listed, ms(syncs.median())*1000)
	}
}

// crowd returns the messages a second that 64 senders get accepted.
func (h *house) crowd(each int) float64 {
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range 64 {
		c := h.dial()
		wg.Go(func() {
			for k := range each {
				submit(h.b, c, fmt.Sprintf("s%d", i), fmt.Sprintf("message %d", k))
			}
		})
	}
	wg.Wait()
	return float64(64*each) / time.Since(begin).Seconds()
}

// list lists everything, page by page, until it is told to stop.
func (h *house) list(stop <-chan struct{}) {
	c := h.dial()
	before := ""
	for {
		select {
		case <-stop:
			return
		default:
		}
		var page ipc.MessageList
		if err := c.Call(context.Background(), ipc.MethodMessages, &ipc.MessageQuery{Before: before}, &page); err != nil {
			h.b.Error(err)
			return
		}
		before = ""
		if page.More {
			before = page.Messages[len(page.Messages)-1].ID
		}
	}
}

// BenchmarkRecover kills a daemon with messages in its queue, and measures until
// the next one answers, and what that takes of memory.
func BenchmarkRecover(b *testing.B) {
	n := few(100_000, 640)
	h := crowdedHouse(b)
	h.crowd(n / 64)
	for b.Loop() {
		syscall.Kill(h.daemon(), syscall.SIGKILL)
		took := taking(func() { h.run("ps") })
		pid := h.daemon()
		rss, own := resident(b, pid), anonymous(b, pid)
		publish(b, map[string]float64{"s-recover": took.Seconds(), "MB-rss": rss / 1e6, "MB-anonymous": own / 1e6},
			"%d queued messages: serving after %.2f s, with %.0f MB resident, of which %.0f MB are not the mapped journal",
			n, took.Seconds(), rss/1e6, own/1e6)
		h.run("kill", "echo@blocker")
	}
}

func resident(b *testing.B, pid int) float64 {
	b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, rss int
	fmt.Sscan(string(statm), &size, &rss)
	return float64(rss * os.Getpagesize())
}
