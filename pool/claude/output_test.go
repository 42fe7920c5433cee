package claude

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

func TestGarbageIsHarmless(t *testing.T) {
	p := fakeRig(t).start()
	for _, kind := range []string{"text", "nul", "utf8", "badutf8", "crlf", "blank", "unknown", "array", "scalar", "torn", "deep", "fields", "escape"} {
		ask(t, p, "garbage:"+kind, "after "+kind)
	}
	ask(t, p, "garbage:", "after garbage")
}

func TestResultInTwoHalves(t *testing.T) {
	ask(t, fakeRig(t).start(), "split:100ms", "in two halves, ü")
}

func TestFlood(t *testing.T) {
	p := fakeRig(t).start()
	path := spoolOf(p)
	for _, kind := range []string{"", ":text", ":line", ":stderr"} {
		lines := 0
		res, err := sendSeen(context.Background(), p, &Message{Text: "flood:32" + kind}, func([]byte) { lines++ })
		if err != nil || res.Text != "flooded" {
			t.Fatalf("%s: %+v, %v", kind, res, err)
		}
		if kind == "" && lines < 512 {
			t.Errorf("got %d lines", lines)
		}
	}
	p.ResultRecorded()
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
	path := spoolOf(p)
	_, err := p.Send(context.Background(), &Message{Text: "flood:100"})
	if use := diskUse(path); err != nil || use > 16<<20 {
		t.Errorf("%d MB on disk, %v", use>>20, err)
	}
}

// Output that is not read as fast as it comes takes no more than its part of the disk.
func TestOutputWithoutEndEndsItsAgent(t *testing.T) {
	defer func(n int64) { MaxSpool = n }(MaxSpool)
	MaxSpool = 8 << 20
	p := fakeRig(t).start()
	res := send(t, p, "flood:1:endless")
	if res.Outcome != turn.Incomplete || !strings.Contains(res.Err, "more than 8 MB of its output") {
		t.Errorf("got %s %q", res.Outcome, res.Err)
	}
	stop(t, p)
}

// The ends of a long stderr are kept, also while the turn goes on.
func TestFloodOfStderrIsGivenBackInMidTurn(t *testing.T) {
	p := fakeRig(t).start()
	p.timing.lookEvery = 5 * time.Millisecond
	path := strings.TrimSuffix(spoolOf(p), ".out") + ".err"
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.Send(ctx, &Message{Text: "flood:32:stay"}) })
	eventually(t, "it is given back", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() >= 32<<20 && allocated(info) <= errLimit
	})
	b, err := os.ReadFile(path)
	cancel()
	wg.Wait()
	if err != nil || !bytes.HasPrefix(b, []byte("0123456789")) || !bytes.HasSuffix(b, []byte("abcdef\n")) || !bytes.Contains(b, []byte(" bytes left out]\n\x00")) {
		t.Errorf("%d bytes, %v: %.50q ... %q", len(b), err, b, b[max(0, len(b)-50):])
	}
}

func TestAnswerOverTheLimit(t *testing.T) {
	p := fakeRig(t).start()
	res := send(t, p, fmt.Sprintf("size:%d", maxLine))
	if res.Outcome != turn.Failed || !strings.Contains(res.Err, "64 MB") || res.Retire == "" {
		t.Errorf("got %s %q, retire %q", res.Outcome, res.Err, res.Retire)
	}
}

func TestPhantomResults(t *testing.T) {
	p := fakeRig(t, "--fake-phantom").start()
	ask(t, p, "echo:one", "one")
	ask(t, p, "phantom", "after a phantom")
	ask(t, p, "echo:two", "two")
}

// scriptRig starts an agent that is a few lines of shell: it reports that it is
// ready, and runs then when a message has come.
func scriptRig(t testing.TB, then string) *rig {
	t.Helper()
	r := newRig(t)
	r.o.Command, r.o.Transcript = "/bin/sh", false
	r.o.Prefix = []string{"-c", `
		message() { read -r l; l=${l#*'"uuid":"'}; echo '{"type":"user","isReplay":true,"uuid":"'"${l%%'"'*}"'"}'; }
		read l; echo '{"type":"control_response","response":{"subtype":"success","request_id":"iris-1","response":{}}}'
		message; ` + then}
	return r
}

// A whole line counts, also when the agent went before its newline.
func TestLastLineWithoutNewline(t *testing.T) {
	p := scriptRig(t, `printf '{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"whole"}'`).start()
	ask(t, p, "x", "whole")
	p = scriptRig(t, `printf '{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"who'`).start()
	if _, err := p.Send(context.Background(), &Message{Text: "x"}); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("half a line: %v", err)
	}
}

func TestTwoResultsAreOne(t *testing.T) {
	p := scriptRig(t, `printf '{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"1"}\n{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"2"}\n'; message; echo '{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"3"}'`).start()
	ask(t, p, "x", "1")
	ask(t, p, "x", "3")
}
