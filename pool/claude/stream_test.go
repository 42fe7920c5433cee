package claude

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/pool"
)

// got holds the output of a stream: whole lines, and the number of gaps.
type got struct {
	lines []string
	seqs  []int64 // of the lines
	gaps  int
	open  []byte // of a long line
	most  int    // bytes of the longest piece
}

func (g *got) emit(p Piece) error {
	g.most = max(g.most, len(p.Data))
	if p.Gap {
		g.gaps++
		g.open = nil
		return nil
	}
	g.open = append(g.open, p.Data...)
	if !p.More {
		g.lines, g.seqs = append(g.lines, string(g.open)), append(g.seqs, p.Seq)
		g.open = nil
	}
	return nil
}

func mustStream(t *testing.T, p *Process, base, after int64) *Stream {
	t.Helper()
	s, err := p.Stream(base, "", after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.streaming(s) {
			s.Close()
		}
	})
	return s
}

func (p *Process) streaming(s *Stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.marks.streams[s]
	return ok
}

// whole runs a turn and returns its lines up to the result.
func whole(t *testing.T, p *Process, text string) (lines []string, base int64) {
	t.Helper()
	rest(t, p)
	path := spoolOf(p)
	base, _ = p.NextTurn()
	if _, err := p.Send(context.Background(), &Message{Text: text}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(string(b[base:]), "\n")
	end := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"type":"result"`) })
	return lines[:end+1], base
}

func TestStreamGoesOnAfterEverySeq(t *testing.T) {
	p := fakeRig(t).start()
	for _, text := range []string{"slow:30:0s", "tool:Bash:{}", "size:300000", fmt.Sprintf("size:%d", 3*chunk-500)} {
		want, base := whole(t, p, text)
		var all got
		s := mustStream(t, p, base, 0)
		if err := s.Finish(all.emit); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(all.lines, want) || all.gaps != 0 {
			t.Fatalf("%s: got %d lines, %d gaps, want %d lines", text, len(all.lines), all.gaps, len(want))
		}
		if all.most > chunk {
			t.Errorf("%s: a piece of %d bytes", text, all.most)
		}
		for i, seq := range all.seqs {
			var rest got
			s := mustStream(t, p, base, seq)
			if err := s.Finish(rest.emit); err != nil || !slices.Equal(rest.lines, want[i+1:]) || rest.gaps != 0 {
				t.Fatalf("%s: after %d got %d lines, %d gaps, %v; want %d lines", text, seq, len(rest.lines), rest.gaps, err, len(want)-i-1)
			}
			s.Close()
		}
		var torn got // no Seq at all: the line that it is in is missed
		s = mustStream(t, p, base, all.seqs[0]+1)
		if err := s.Finish(torn.emit); err != nil || !slices.Equal(torn.lines, want[2:]) || torn.gaps != 1 {
			t.Errorf("%s: within a line: got %d lines, %d gaps, %v", text, len(torn.lines), torn.gaps, err)
		}
	}
}

// What follows the turn is not of it, though it is read later.
func TestStreamEndsWithItsTurn(t *testing.T) {
	p := fakeRig(t).start()
	rest(t, p)
	base, _ := p.NextTurn()
	s := mustStream(t, p, base, 0)
	want, _ := whole(t, p, "echo:one")
	p.ResultRecorded()
	whole(t, p, "echo:two")
	var g got
	if err := s.Finish(g.emit); err != nil || !slices.Equal(g.lines, want) || g.gaps != 0 {
		t.Errorf("got %d lines, %d gaps, %v, want %d lines", len(g.lines), g.gaps, err, len(want))
	}
}

// A reader that does not read keeps room on the disk, but not more than maxLag, slows
// nothing, and learns what it has missed.
func TestSlowStreamIsToldWhatItMissed(t *testing.T) {
	p := fakeRig(t).start()
	rest(t, p)
	path := p.spool.path(".out")
	base, _ := p.NextTurn()
	s := mustStream(t, p, base, 0)
	var g got
	stop := errors.New("enough")
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := p.Send(context.Background(), &Message{Text: "flood:200"})
		done <- err
	})
	defer wg.Wait()
	eventually(t, "the first line is read", func() bool {
		return errors.Is(s.Read(func(p Piece) error { g.emit(p); return stop }), stop)
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	last := diskUse(path)
	p.ResultRecorded()
	if limit := int64(maxLag + 16<<20); last < maxLag || last > limit {
		t.Errorf("%d MB on disk, want %d to %d", last>>20, maxLag>>20, limit>>20)
	}
	if err := s.Finish(g.emit); err != nil {
		t.Fatal(err)
	}
	if g.gaps != 1 || len(g.lines) > 200<<20/(64<<10) || len(g.lines) < maxLag/(70<<10) {
		t.Errorf("got %d lines, %d gaps", len(g.lines), g.gaps)
	}
	if last := g.lines[len(g.lines)-1]; !strings.Contains(last, `"type":"result"`) {
		t.Errorf("the last line is %.60s", last)
	}
	s.Close()
	eventually(t, "the room is given back", func() bool { return diskUse(path) < 3<<20 })
	ask(t, p, "echo:after", "after")
}

// What a reader has left out since the last line that it has taken is kept: who goes on there
// does not know of it, and would take it for a gap.
func TestStreamKeepsWhatItsReaderLeavesOut(t *testing.T) {
	p := fakeRig(t).start()
	for taken := range 2 {
		want, base := whole(t, p, "size:100000")
		s := mustStream(t, p, base, 0)
		var g got
		err := s.Finish(func(p Piece) error {
			if len(g.lines) == taken {
				return ErrLeftOut
			}
			return g.emit(p)
		})
		if err != nil || !slices.Equal(g.lines, want[:taken]) {
			t.Fatalf("got %d lines, %v", len(g.lines), err)
		}
		p.ResultRecorded()
		rest(t, p)
		next, err := s.Again(s.Seq())
		if err != nil {
			t.Fatal(err)
		}
		g = got{}
		if err := next.Finish(g.emit); err != nil || g.gaps != 0 || !slices.Equal(g.lines, want[taken:]) {
			t.Errorf("after %d lines: got %d lines and %d gaps, %v, want %d lines", taken, len(g.lines), g.gaps, err, len(want)-taken)
		}
		next.Close()
		s.Close()
	}
}

// An agent that is killed leaves its output, including the last line without its end,
// and a reader may read it late.
func TestStreamOfAnAgentThatDied(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	rest(t, p)
	base, _ := p.NextTurn()
	s := mustStream(t, p, base, 0)
	if _, err := p.Send(context.Background(), &Message{Text: "crash:mid:kill"}); !errors.Is(err, pool.ErrUnknown) {
		t.Fatal(err)
	}
	<-p.Done()
	p.ResultRecorded()
	kept, err := s.Again(0)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	for _, s := range []*Stream{s, kept} {
		var g got
		if err := s.Finish(g.emit); err != nil || g.gaps != 0 || len(g.lines) == 0 || !strings.Contains(g.lines[len(g.lines)-1], "crashes before the result") {
			t.Errorf("got %.200q, %d gaps, %v", g.lines, g.gaps, err)
		}
	}
}

// A reader of an agent of an earlier daemon is called when the agent has written.
func TestStreamOfAnOrphan(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	rest(t, p)
	base, _ := p.NextTurn()
	gated, open := gate(t)
	u := begin(t, t.Context(), p, "slow:40:@"+gated, "d0 ")
	s, err := OpenStream(r.o.Follower, r.o.Spools, r.o.ID, base, "", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	open()
	var g got
	result := func(line string) bool { return strings.Contains(line, `"type":"result"`) }
	for !slices.ContainsFunc(g.lines, result) {
		select {
		case <-s.More():
			if err := s.Read(g.emit); err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("nothing is told")
		}
	}
	u.wait(t)
	u.mu.Lock()
	defer u.mu.Unlock()
	n := min(len(g.lines), len(u.lines)) // the turn's own end with the result, the stream goes on
	if g.gaps != 0 || !slices.Equal(g.lines[:n], u.lines[:n]) {
		t.Errorf("got %d lines and %d gaps of %d lines", len(g.lines), g.gaps, len(u.lines))
	}
}

// A reader may close at any time, even when the process is gone and its files are
// closed: their numbers may then be those of other files. The race detector sees
// which goroutine uses them.
func TestStreamClosesWhileTheProcessEnds(t *testing.T) {
	p := fakeRig(t).start()
	_, base := whole(t, p, "size:100000")
	s := mustStream(t, p, base, 0)
	rest(t, p)
	p.ResultRecorded()
	path := p.spool.path(".out")
	p.ident.Signal(syscall.SIGKILL)
	for end := time.Now().Add(patience); ; { // nothing here waits for the goroutine that closes them
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the files are still there")
		}
	}
	s.Close()
}

// A hole anywhere is one gap, and what follows begins with a whole line.
func TestStreamPassesHoles(t *testing.T) {
	p := fakeRig(t).start()
	want, base := whole(t, p, "flood:1")
	for _, hole := range [][2]int64{{0, 3 * block}, {block, block}, {10 * block, 100 * block}, {16 * block, 16 * block}} {
		f, err := duplicate(p.spool.out)
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		from := (base/block + 1) * block
		punch(f, from+hole[0], hole[1])
		f.Close()
		var g got
		s := mustStream(t, p, base, 0)
		err = s.Finish(func(p Piece) error { all.Write(p.Data); return g.emit(p) })
		if err != nil || g.gaps == 0 || bytes.IndexByte(all.Bytes(), 0) >= 0 {
			t.Errorf("%v: %d gaps, %v", hole, g.gaps, err)
		}
		for _, line := range g.lines {
			if !slices.Contains(want, line) {
				t.Errorf("%v: a line that was never written: %.80q", hole, line)
			}
		}
		if g.lines[len(g.lines)-1] != want[len(want)-1] {
			t.Errorf("%v: the end is missing", hole)
		}
	}
}

// rest waits until a turn may begin.
func rest(t *testing.T, p *Process) {
	t.Helper()
	if err := p.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The file of the output is found whatever it is called just then: /clear renames it.
func TestStreamIsOpenedWhileTheSessionChanges(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	over := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(over)
		for range 300 {
			if err := p.spool.rename(NewSessionID()); err != nil {
				t.Error(err)
			}
		}
	})
	for {
		s, err := p.Stream(0, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		select {
		case <-over:
			return
		default:
		}
	}
}
