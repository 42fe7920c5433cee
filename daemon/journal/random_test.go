package journal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func init() {
	roles["load"] = func(args []string) {
		base, _ := strconv.Atoi(args[1])
		load(args[0], base)
	}
}

// load recovers and then sends messages through everything from many
// goroutines until it is killed. Each fact is said after it is acknowledged.
func load(path string, base int) {
	endRunning(path, os.Stdout)
	j, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	var next atomic.Int64
	next.Store(int64(base))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				oneMessage(j, int(next.Add(1)))
			}
		})
	}
	wg.Go(func() {
		for {
			if _, err := j.Prune(context.Background(), at(0), at(0)); err != nil {
				os.Exit(3)
			}
			for range j.List(Filter{Limit: 50}) {
			}
		}
	})
	wg.Go(func() {
		for {
			if _, err := j.compact(context.Background()); err != nil {
				os.Exit(3)
			}
		}
	})
	wg.Wait()
}

func oneMessage(j *Journal, i int) {
	n := message(i)
	n.Options.Key = n.ID
	if i%10 == 0 {
		n.Body = bytes.Repeat([]byte{'b'}, inFile+1)
	}
	if i%2 == 0 {
		m, err := j.AcceptAndDispatch(n, attempt(i))
		say(os.Stdout, j, m.Message, err)
	} else {
		m, err := j.Accept(n)
		say(os.Stdout, j, m.Message, err)
		d, err := j.Dispatch(n.ID, attempt(i))
		say(os.Stdout, j, d, err)
	}
	e := done(strings.Repeat("r", 10+i%7*12000))
	if i%9 == 0 {
		e = End{State: Unknown, At: at(1)}
	}
	m, err := j.End(n.ID, e)
	say(os.Stdout, j, m, err)
}

// TestKilledAtRandom kills a writer again and again, and after each time looks
// for everything that it had said. Set IRIS_KILL_ROUNDS for more.
func TestKilledAtRandom(t *testing.T) {
	rounds := 15
	if n, err := strconv.Atoi(os.Getenv("IRIS_KILL_ROUNDS")); err == nil {
		rounds = n
	}
	path := filepath.Join(t.TempDir(), "journal")
	var said []byte
	for r := range rounds {
		said = append(said, killedRound(t, path, r)...)
		if err := holds(path, said); err != nil {
			t.Fatalf("round %d: %v", r, err)
		}
		if r%10 == 9 {
			said = latest(said)
		}
	}
	j := mustOpen(t, path)
	s := must1(j.Size())(t)
	for m, err := range j.List(Filter{}) {
		if err != nil || len(m.Attempts) > 1 {
			t.Fatalf("%v: dispatched %d times", err, len(m.Attempts))
		}
	}
	acked := bytes.Count(latest(said), []byte("\n"))
	if acked == 0 {
		t.Fatal("nothing was acknowledged: nothing was tested")
	}
	t.Logf("%d rounds, %d messages acknowledged, 0 lost, %d on record, %d unknown", rounds, acked, s.Messages, s.Unknown)
}

// latest drops the lines that a later one about the same message replaces.
func latest(said []byte) []byte {
	seen := map[string]bool{}
	lines := bytes.SplitAfter(said, []byte("\n"))
	var out [][]byte
	for i := len(lines) - 1; i >= 0; i-- {
		id, _, _ := strings.Cut(string(lines[i]), ",")
		if bytes.HasSuffix(lines[i], []byte("\n")) && !seen[id] {
			seen[id] = true
			out = append(out, lines[i])
		}
	}
	return bytes.Join(out, nil)
}

func killedRound(t *testing.T, path string, r int) []byte {
	t.Helper()
	cmd := exec.Command(os.Args[0], "load", path, strconv.Itoa(1+r*1_000_000))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	pipe := must1(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	moment := time.Duration(rand.N(250)) * time.Millisecond
	var said []byte
	var err error
	if r%2 == 0 { // at work, however long it takes to begin
		said, err = io.ReadAll(io.LimitReader(pipe, 1))
	}
	kill := time.AfterFunc(moment, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if err == nil {
		var more []byte
		more, err = io.ReadAll(pipe)
		said = append(said, more...)
	}
	cmd.Wait()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("round %d: %v %s", r, err, errs.Bytes())
	}
	return said
}
