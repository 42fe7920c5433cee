package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

// streamed is the output of messages that a client has received.
type streamed struct {
	lines  []string
	seqs   []int64
	gaps   []ipc.OutputGap
	states []ipc.MessageState
	open   []byte

	line func() // is called after each line; may be nil
}

func (s *streamed) notify(method string, params json.RawMessage) {
	switch method {
	case ipc.NotifyOutput:
		var o ipc.Output
		if err := json.Unmarshal(params, &o); err != nil {
			panic(err)
		}
		s.open = append(append(s.open, o.Line...), o.Part...)
		if o.Seq > 0 {
			s.lines, s.seqs, s.open = append(s.lines, string(s.open)), append(s.seqs, o.Seq), nil
			if s.line != nil {
				s.line()
			}
		}
	case ipc.NotifyGap:
		var g ipc.OutputGap
		json.Unmarshal(params, &g)
		s.gaps = append(s.gaps, g)
	case ipc.NotifyState:
		var st ipc.MessageState
		json.Unmarshal(params, &st)
		s.states = append(s.states, st)
	}
}

// types returns one word for each line.
func (s *streamed) types() string {
	var words []string
	for _, line := range s.lines {
		var m struct{ Type, Subtype string }
		json.Unmarshal([]byte(line), &m)
		words = append(words, m.Type)
	}
	return strings.Join(words, " ")
}

// stream follows a message to its end.
func stream(d *testDaemon, p ipc.Stream) (*streamed, ipc.StreamEnd, error) {
	d.t.Helper()
	return streamWith(d, p, nil)
}

// streamWith is stream, and calls line after each line.
func streamWith(d *testDaemon, p ipc.Stream, line func()) (*streamed, ipc.StreamEnd, error) {
	d.t.Helper()
	var end ipc.StreamEnd
	s := &streamed{line: line}
	c := d.client()
	defer c.Close()
	c.OnNotify = s.notify
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	err := c.Call(ctx, ipc.MethodStream, p, &end)
	return s, end, err
}

func TestSendStreamsTheLinesOfItsTurn(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	for _, c := range []struct {
		send ipc.Send
		want string
	}{
		{ipc.Send{Text: "slow:3:0s"}, "system assistant result"},
		{ipc.Send{Text: "slow:3:0s", Partial: true}, "system stream_event stream_event stream_event assistant result"},
		{ipc.Send{Text: "tool:Bash:{}"}, "system assistant user assistant result"},
		{ipc.Send{Text: "garbage:"}, ""},
		{ipc.Send{Text: "size:200000"}, "system assistant result"},
	} {
		c.send.Team, c.send.Stream = "api", true
		var reply ipc.Reply
		s := new(streamed)
		client := d.client()
		client.OnNotify = s.notify
		if err := client.Call(t.Context(), ipc.MethodSend, c.send, &reply); err != nil {
			t.Fatal(err)
		}
		if got := s.types(); c.want != "" && got != c.want || len(s.gaps) > 0 && c.want != "" {
			t.Errorf("%s: got %s, %d gaps, want %s", c.send.Text, got, len(s.gaps), c.want)
		}
		var last struct{ Type, Result string }
		if err := json.Unmarshal([]byte(s.lines[len(s.lines)-1]), &last); err != nil || last.Type != "result" || last.Result != reply.Text {
			t.Errorf("%s: the last line is %.80s, %v", c.send.Text, s.lines[len(s.lines)-1], err)
		}
	}
}

func TestStreamOfARunningMessageGoesOnAfterEverySeq(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	gated, open := gate(t)
	id := submit(d, ipc.Send{Team: "api", Text: "slow:40:@" + gated}).ID
	all, end, err := streamWith(d, ipc.Stream{ID: id, Partial: true}, sync.OnceFunc(open))
	if err != nil || len(all.gaps) > 0 || len(all.lines) != 43 || end.Seq != all.seqs[42] {
		t.Fatalf("got %s, %d gaps, %+v, %v", all.types(), len(all.gaps), end, err)
	}
	id = submit(d, ipc.Send{Team: "api", Text: "slow:100000:1ms"}).ID
	var first streamed
	after := int64(0)
	for range 43 { // one line of each connection
		c := d.client()
		s := new(streamed)
		c.OnNotify = s.notify
		ctx, cancel := context.WithCancel(t.Context())
		s.line = cancel
		if err := c.Call(ctx, ipc.MethodStream, ipc.Stream{ID: id, After: after, Partial: true}, nil); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel()
		if len(s.lines) == 0 || len(s.gaps) > 0 {
			t.Fatalf("after %d: %d lines, %v", after, len(s.lines), s.gaps)
		}
		first.lines = append(first.lines, s.lines[0])
		after = s.seqs[0]
	}
	for i, line := range first.lines[1:] {
		if want := fmt.Sprintf(`"d%d "`, i); !strings.Contains(line, want) {
			t.Errorf("line %d is %s, want %s in it", i+1, line, want)
		}
	}
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: id})
}

func TestStreamTellsWhatAMessageWaitsFor(t *testing.T) {
	d := startDaemon(t, "max_processes = 1\n"+fakeTeam(t, "api")+fakeTeam(t, "web"))
	first := submit(d, ipc.Send{Team: "api", Text: "hang:"}).ID
	eventually(t, "the turn", func() bool { return show(d, first).State == "running" })
	second := submit(d, ipc.Send{Team: "api", Text: "echo:x"}).ID
	third := submit(d, ipc.Send{Team: "api", Text: "echo:y"}).ID
	other := submit(d, ipc.Send{Team: "web", Text: "echo:z"}).ID
	c := d.client()
	s := new(streamed)
	c.OnNotify = func(method string, params json.RawMessage) {
		s.notify(method, params)
		if method != ipc.NotifyState {
			return
		}
		if len(s.states) == 1 {
			mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: second})
		}
		if len(s.states) == 2 {
			mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: first})
		}
	}
	if err := c.Call(t.Context(), ipc.MethodStream, ipc.Stream{ID: third, Place: true}, nil); err != nil {
		t.Fatal(err)
	}
	want := []ipc.MessageState{
		{ID: third, State: "queued", Position: 2, WaitsFor: "the turn before it"},
		{ID: third, State: "queued", Position: 1, WaitsFor: "the turn before it"},
	}
	if len(s.states) < 2 || !slices.Equal(s.states[:2], want) {
		t.Errorf("got %+v", s.states)
	}
	if s, _, err := stream(d, ipc.Stream{ID: other, Place: true}); err != nil || len(s.gaps) == 0 && s.types() != "system assistant result" {
		t.Errorf("the other: %s, %v", s.types(), err)
	}
}

func TestStreamOfAnEndedMessageIsAGap(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	r, err := ask(d, "api", "echo:x")
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []int64{0, 1000} {
		s, end, err := stream(d, ipc.Stream{ID: r.ID, After: after})
		if err != nil || end.Seq != after || len(s.lines) > 0 || !slices.Equal(s.gaps, []ipc.OutputGap{{ID: r.ID, After: after}}) {
			t.Errorf("got %+v, %+v, %v", s, end, err)
		}
	}
	_, _, err = stream(d, ipc.Stream{ID: "none"})
	wantCode(t, err, ipc.CodeNotFound)
	_, _, err = stream(d, ipc.Stream{ID: r.ID, After: -1})
	wantCode(t, err, ipc.CodeUsage)
	first := submit(d, ipc.Send{Team: "api", Text: "hang:"}).ID
	second := submit(d, ipc.Send{Team: "api", Text: "echo:x"}).ID
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: second})
	if s, _, err := stream(d, ipc.Stream{ID: second}); err != nil || len(s.gaps) > 0 {
		t.Errorf("a message that never began: %+v, %v", s, err)
	}
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: first})
}

// A client that does not read slows down no agent and no other client, takes no memory, and is
// told which output it has missed.
func TestSlowReaderIsItsOwnMatter(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "web"))
	for _, team := range []string{"api", "web"} {
		if _, err := ask(d, team, "echo:warm"); err != nil {
			t.Fatal(err)
		}
	}
	before := heap()
	id, blocked, release := make(chan string, 1), make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(blocked) })
	goOn := sync.OnceFunc(func() { close(release) })
	t.Cleanup(goOn)
	s := new(streamed)
	c := d.client()
	c.OnNotify = func(method string, params json.RawMessage) {
		s.notify(method, params)
		if len(s.states) == 1 && len(s.lines) == 0 {
			id <- s.states[0].ID
		}
		if len(s.lines) >= 1 {
			once()
			select {
			case <-release:
			case <-time.After(5 * time.Second): // one that reads nothing at all is dropped
			}
		}
		if len(s.lines) > 1 { // they are large
			s.lines[len(s.lines)-2] = ""
		}
	}
	ended := make(chan error, 1)
	d.wg.Go(func() {
		ended <- c.Call(context.Background(), ipc.MethodSend, ipc.Send{Team: "api", Text: "flood:80", Stream: true}, nil)
	})
	<-blocked
	for range 20 {
		if _, err := ask(d, "web", "echo:meanwhile"); err != nil {
			t.Fatal(err)
		}
	}
	if end := awaitEnd(d, <-id); end.State != "done" {
		t.Errorf("got %+v", end)
	}
	if r, err := ask(d, "api", "echo:next"); err != nil || r.Text != "next" {
		t.Errorf("the next turn: %v", err)
	}
	if more := heap() - before; more > 16<<20 {
		t.Errorf("%d MB more", more>>20)
	}
	goOn()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	last := s.lines[len(s.lines)-1]
	ordered := slices.IsSortedFunc(s.gaps, func(a, b ipc.OutputGap) int { return cmp.Compare(a.Next, b.After) }) // it may fall behind again
	if len(s.gaps) == 0 || !ordered || s.gaps[0].Next <= s.gaps[0].After || !strings.Contains(last, `"type":"result"`) || !strings.Contains(last, "flooded") {
		t.Errorf("%d lines, gaps %+v, the last line is %.80s", len(s.lines), s.gaps, last)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A client that was cut off during a turn may reconnect after its end.
func TestStreamThatWasCutOffGoesOnAfterTheEnd(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	gated, open := gate(t)
	id := submit(d, ipc.Send{Team: "api", Text: "slow:20:@" + gated}).ID
	c := d.client()
	first := new(streamed)
	c.OnNotify = first.notify
	ctx, cancel := context.WithCancel(t.Context())
	first.line = cancel
	if err := c.Call(ctx, ipc.MethodStream, ipc.Stream{ID: id, Partial: true}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	cancel()
	open()
	awaitEnd(d, id)
	for range 2 {
		rest, end, err := stream(d, ipc.Stream{ID: id, After: first.seqs[0], Partial: true})
		if err != nil || len(rest.gaps) > 0 || len(rest.lines) != 22 || end.Seq != rest.seqs[21] {
			t.Errorf("got %d lines, gaps %v, %+v, %v", len(rest.lines), rest.gaps, end, err)
		}
	}
}
