package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"iris/pool"
)

func TestGarbageIsHarmless(t *testing.T) {
	p := fakeRig(t).start()
	for _, kind := range []string{"text", "nul", "utf8", "badutf8", "crlf", "blank", "unknown", "array", "scalar", "torn", "deep", "fields", "escape"} {
		ask(t, p, "garbage:"+kind, "after "+kind)
	}
	ask(t, p, "garbage:", "after garbage")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.garbage == 0 {
		t.Error("garbage is not counted")
	}
}

func TestResultInTwoHalves(t *testing.T) {
	ask(t, fakeRig(t).start(), "split:100ms", "in two halves, ü")
}

func TestFlood(t *testing.T) {
	p := fakeRig(t).start()
	path, _ := p.Spool()
	for _, kind := range []string{"", ":text", ":line", ":stderr"} {
		lines := 0
		res, err := p.Send(context.Background(), &pool.Turn{Text: "flood:32" + kind, Output: func([]byte) { lines++ }})
		if err != nil || res.Text != "flooded" {
			t.Fatalf("%s: %+v, %v", kind, res, err)
		}
		if kind == "" && lines < 512 {
			t.Errorf("got %d lines", lines)
		}
	}
	p.Taken()
	eventually(t, "the spool has been given back", func() bool { return diskUse(path) < 3<<20 })
	if _, err := p.Check(context.Background(), false); err != nil {
		t.Error(err)
	}
	if use := diskUse(strings.TrimSuffix(path, ".out") + ".err"); use > errLimit {
		t.Errorf("stderr takes %d bytes", use)
	}
	ask(t, p, "echo:after", "after")
}

func diskUse(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return allocated(info)
}

// A flood is given back while the turn still runs.
func TestFloodIsGivenBackInMidTurn(t *testing.T) {
	p := fakeRig(t).start()
	path, _ := p.Spool()
	last := int64(0) // when the answer comes
	_, err := p.Send(context.Background(), &pool.Turn{Text: "flood:100", Output: func([]byte) { last = diskUse(path) }})
	if err != nil || last > 16<<20 {
		t.Errorf("%d MB on disk, %v", last>>20, err)
	}
}

func TestAnswerOverTheLimit(t *testing.T) {
	p := fakeRig(t).start()
	res := send(t, p, fmt.Sprintf("size:%d", maxLine))
	if res.Outcome != pool.OutcomeFailed || !strings.Contains(res.Err, "64 MB") || res.Retire == "" {
		t.Errorf("got %s %q, retire %q", res.Outcome, res.Err, res.Retire)
	}
}

func TestPhantomResults(t *testing.T) {
	p := fakeRig(t, "--fake-phantom").start()
	ask(t, p, "echo:one", "one")
	ask(t, p, "phantom", "after a phantom")
	ask(t, p, "echo:two", "two")
}

func TestOutputEndsWithSend(t *testing.T) {
	r := fakeRig(t)
	r.o.Grace = 100 * time.Millisecond
	p := r.start()
	over := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	_, err := p.Send(ctx, &pool.Turn{Text: "hang:deaf", Output: func([]byte) {
		cancel()
		select {
		case <-over:
			t.Error("output after Send has returned")
		default:
		}
	}})
	close(over)
	if !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// scriptRig starts an agent that is a few lines of shell: ready, then what is
// given when a message has come.
func scriptRig(t testing.TB, then string) *rig {
	t.Helper()
	r := newRig(t)
	r.o.Command, r.o.Transcript = "/bin/sh", false
	r.o.Prefix = []string{"-c", `read l; echo '{"type":"control_response","response":{"subtype":"success","request_id":"iris-1","response":{}}}'; read l; ` + then}
	return r
}

// A whole line counts, also when the agent went before its newline.
func TestLastLineWithoutNewline(t *testing.T) {
	p := scriptRig(t, `printf '{"type":"result","subtype":"success","result":"whole"}'`).start()
	ask(t, p, "x", "whole")
	p = scriptRig(t, `printf '{"type":"result","subtype":"success","result":"who'`).start()
	if _, err := p.Send(context.Background(), &pool.Turn{Text: "x"}); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("half a line: %v", err)
	}
}

func TestTwoResultsAreOne(t *testing.T) {
	p := scriptRig(t, `printf '{"type":"result","subtype":"success","result":"1"}\n{"type":"result","subtype":"success","result":"2"}\n'; read l; echo '{"type":"result","subtype":"success","result":"3"}'`).start()
	ask(t, p, "x", "1")
	ask(t, p, "x", "3")
}
