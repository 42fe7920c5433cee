package delivery

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// A client gets each line as one, or in parts that end with the Seq of the line, and is told
// of each gap, also at the end.
func TestLinesReachTheClientAsTheyAre(t *testing.T) {
	second := output{attempt: 2}
	c := &client{t: t}
	c.with(func(_ context.Context, call *ipc.Call) {
		s := &streamer{call: call, id: "m1", now: second, seq: second.seq(0)}
		err := s.read(func(emit func(claude.Piece) error) error {
			for _, p := range []claude.Piece{
				{Seq: 5, Type: "assistant", Data: []byte(`{"a":1}`)},
				{Type: "user", Data: []byte(`{x`), More: true},
				{Data: []byte(`2`), More: true}, // JSON by themselves
				{Seq: 9, Data: []byte(`3`)},
				{Seq: 12, Data: []byte("\xff")},
				{Type: "stream_event", Data: []byte(`{`), More: true}, // its other parts do not come
				{Type: "user", Data: []byte(`{y`), More: true},
				{Seq: 30, Gap: true},
				{Seq: 35, Data: []byte(`{}`)},
				{Seq: 50, Gap: true},
			} {
				if err := emit(p); err != nil && (err != claude.ErrLeftOut || p.Type != "stream_event") {
					return err
				}
			}
			return nil
		})
		if err != nil || s.seq != second.seq(50) {
			t.Errorf("after %d: %v", s.seq, err)
		}
		unread := errors.New("cannot be read")
		if err := s.read(func(func(claude.Piece) error) error { return unread }); err != unread {
			t.Errorf("output that cannot be read: %v", err)
		}
	})
	want := []ipc.Output{
		{ID: "m1", Seq: second.seq(5), Line: []byte(`{"a":1}`)},
		{ID: "m1", Part: []byte(`{x`)}, {ID: "m1", Part: []byte(`2`)}, {ID: "m1", Seq: second.seq(9), Part: []byte(`3`)},
		{ID: "m1", Seq: second.seq(12), Part: []byte("\xff")},
		{ID: "m1", Part: []byte(`{y`)},
		{ID: "m1", Seq: second.seq(35), Line: []byte(`{}`)},
	}
	if !reflect.DeepEqual(c.outputs, want) {
		t.Errorf("got  %+v\nwant %+v", c.outputs, want)
	}
	gaps := []ipc.OutputGap{
		{ID: "m1", After: second.seq(12), Next: second.seq(30)}, {ID: "m1", After: second.seq(35), Next: second.seq(50)},
	}
	if !slices.Equal(c.gaps, gaps) {
		t.Errorf("got  %v\nwant %v", c.gaps, gaps)
	}
}

// When a message is sent again, its clients are told so, and that no line of the first attempt
// goes on.
func TestAnotherAttemptBeginsANewOutput(t *testing.T) {
	d := newDispatcher(t, "")
	m := d.newDelivery(journal.New{ID: "m1", Team: "api"})
	first, second := output{attempt: 1}, output{attempt: 2}
	c := &client{t: t}
	c.with(func(_ context.Context, call *ipc.Call) {
		s := d.newStreamer(call, false, false)
		s.id = m.new.ID
		if err := s.begin(m, first); err != nil || s.seq != first.seq(0) {
			t.Errorf("the first is after %d, %v", s.seq, err)
		}
		s.emit(claude.Piece{Seq: 5, Data: []byte(`{}`)})
		s.emit(claude.Piece{Data: []byte(`{`), More: true})
		m.retried.Store(true)
		if err := s.begin(m, second); err != nil || s.seq != second.seq(0) {
			t.Errorf("the second is after %d, %v", s.seq, err)
		}
		s.emit(claude.Piece{Seq: 7, Data: []byte(`{}`)})
	})
	if want := []ipc.MessageState{{ID: "m1", State: "running", Retried: true}}; !slices.Equal(c.states, want) {
		t.Errorf("told %+v", c.states)
	}
	if want := []ipc.OutputGap{{ID: "m1", After: first.seq(5), Next: second.seq(0)}}; !slices.Equal(c.gaps, want) {
		t.Errorf("gaps %+v", c.gaps)
	}
	if n := len(c.outputs); n != 3 || c.outputs[2].Seq != second.seq(7) || c.outputs[2].Line == nil {
		t.Errorf("got %+v", c.outputs)
	}
}

// A client that gets no output of a message that has ended is told of the gap. If the message
// goes on without this daemon, the client gets its output there, and there is none.
func TestGapIsOfAMessageThatHasEnded(t *testing.T) {
	d := newDispatcher(t, "")
	record(t, d, journal.New{ID: "m1", Team: "api"}, journal.End{})
	msg, err := d.o.Store.Message("m1")
	if err != nil {
		t.Fatal(err)
	}
	stopping := fault.Stopping(pool.Key{Team: "api"}, "m1")
	gap := []ipc.OutputGap{{ID: "m1"}}
	for what, of := range map[string]struct {
		end  outcome
		gaps []ipc.OutputGap
		err  error
	}{
		"done":    {outcome{state: journal.Done}, gap, nil},
		"failed":  {outcome{state: journal.Failed, err: stopping}, gap, nil},
		"goes on": {outcome{err: stopping}, nil, stopping},
	} {
		m := d.restored(&msg)
		m.end = of.end
		close(m.done)
		d.inflight.live.add(m)
		c := &client{t: t}
		if err := c.call(d.Stream, ipc.Stream{ID: "m1"}, nil); fmt.Sprint(err) != fmt.Sprint(of.err) || !slices.Equal(c.gaps, of.gaps) {
			t.Errorf("%s: gaps %+v, %v", what, c.gaps, err)
		}
		mute := &client{t: t}
		mute.with(func(ctx context.Context, call *ipc.Call) { (&streamer{d: d, call: call}).await(ctx, m) })
		if len(mute.gaps) > 0 {
			t.Errorf("%s: a client that wants no output is told of %+v", what, mute.gaps)
		}
		d.inflight.live.remove(m)
	}
}

// Of a message that has never begun, no output is missing.
func TestMessageThatNeverBeganHasNoGap(t *testing.T) {
	d := newDispatcher(t, "")
	_, err := d.o.Store.Accept(journal.New{ID: "m1", Team: "api", Body: []byte("x"), At: time.Now()})
	if err == nil {
		_, err = d.o.Store.End("m1", journal.End{State: journal.Cancelled, At: time.Now()})
	}
	c := &client{t: t}
	if err == nil {
		err = c.call(d.Stream, ipc.Stream{ID: "m1"}, nil)
	}
	if err != nil || len(c.gaps) > 0 {
		t.Errorf("gaps %+v, %v", c.gaps, err)
	}
}

// Who streams a message that waits is told its place, and then gets the output.
func TestStreamBeginsBeforeItsMessage(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	m := d.newDelivery(journal.New{ID: "m1", Team: api.Team, Session: api.Session, Body: []byte("echo:x"), At: time.Now()})
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, onState: func(ipc.MessageState) { d.o.Pool.Unhold(api) }}
	var end ipc.StreamEnd
	if err := c.call(d.Stream, ipc.Stream{ID: "m1", Place: true}, &end); err != nil {
		t.Fatal(err)
	}
	if len(c.states) == 0 || c.states[0] != (ipc.MessageState{ID: "m1", State: "queued", Position: 1, WaitsFor: "the test"}) {
		t.Errorf("told %+v", c.states)
	}
	if n := len(c.outputs); n == 0 || len(c.gaps) > 0 || end.Seq != c.outputs[n-1].Seq {
		t.Errorf("got %+v, gaps %+v, %+v", c.outputs, c.gaps, end)
	}
}

// answered lets an agent answer a message. The streamer, which still needs a call, has its
// output.
func answered(t *testing.T, d *Dispatcher, id, text string) (*delivery, *streamer) {
	t.Helper()
	m := d.newDelivery(journal.New{ID: id, Team: api.Team, Session: api.Session, Body: []byte(text), At: time.Now()})
	s := d.newStreamer(nil, false, false)
	m.attach(s.opened, 0)
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	<-m.done
	return m, s
}

// The output that a client has not had when it went away is there when it comes back, and no
// other is kept.
func TestOutputIsKeptForAClientThatWentAway(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	var err error
	m, s := answered(t, d, "m1", "echo:x")
	all := &client{t: t}
	all.with(func(ctx context.Context, call *ipc.Call) {
		defer s.close()
		s.call = call
		err = s.await(ctx, m)
	})
	if last := len(all.outputs) - 1; err != nil || last < 0 || !strings.Contains(string(all.outputs[last].Line), `"result"`) {
		t.Fatalf("got %+v, %v", all.outputs, err)
	}
	if d.inflight.outputs.has("m1") {
		t.Error("output is kept that the client has had")
	}
	m, s = answered(t, d, "m2", "echo:x")
	ctx, hangUp := context.WithCancel(t.Context())
	away := &client{t: t, ctx: ctx, onState: func(ipc.MessageState) { hangUp() }}
	away.call(func(ctx context.Context, call *ipc.Call) (any, error) {
		defer s.close()
		call.Notify(ipc.NotifyState, ipc.MessageState{})
		<-ctx.Done()
		s.call = call
		err = s.await(ctx, m)
		return nil, nil
	}, nil, nil)
	if _, unsent := errors.AsType[*outputError](err); !unsent {
		t.Errorf("the client is away: %v", err)
	}
	back := &client{t: t}
	var end ipc.StreamEnd
	if err := back.call(d.Stream, ipc.Stream{ID: "m2"}, &end); err != nil {
		t.Fatal(err)
	}
	if n := len(back.outputs); n != len(all.outputs) || len(back.gaps) > 0 || end.Seq != back.outputs[n-1].Seq {
		t.Errorf("after it came back: got %+v, gaps %v, %+v", back.outputs, back.gaps, end)
	}
}

// A client that goes away after lines that are not for it has missed none when it comes back:
// it knows only the lines that it has had, and what follows them is kept.
func TestLinesThatAreLeftOutAreNoGap(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	_, s := answered(t, d, "m1", "size:100000")
	away := &client{t: t}
	away.with(func(_ context.Context, call *ipc.Call) {
		defer s.close()
		s.call, s.id = call, "m1"
		s.use(<-s.opened)
		gone := errors.New("the client is away")
		err := s.now.Finish(func(p claude.Piece) error {
			if p.Type == "assistant" { // the pieces of its text were before it
				return gone
			}
			return s.emit(p)
		})
		if err != gone {
			t.Errorf("the client is away: %v", err)
		}
	})
	_, next := answered(t, d, "m2", "echo:x") // by then the agent's output is given back to the disk
	next.close()
	back := &client{t: t}
	if err := back.call(d.Stream, ipc.Stream{ID: "m1", After: s.seq}, nil); err != nil {
		t.Fatal(err)
	}
	if len(away.outputs) == 0 || len(back.outputs) < 2 || len(back.gaps) > 0 {
		t.Errorf("%d outputs, and after it came back %d and the gaps %v", len(away.outputs), len(back.outputs), back.gaps)
	}
}

// A message is answered although its output cannot be read.
func TestAnswerComesWithoutItsOutput(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	m, s := answered(t, d, "m1", "echo:x")
	st := <-s.opened
	st.Close()
	s.opened <- st
	c := &client{t: t}
	var reply ipc.Reply
	err := c.call(func(ctx context.Context, call *ipc.Call) (any, error) {
		s.call = call
		return d.answer(ctx, m, s, nil)
	}, nil, &reply)
	if err != nil || reply.Text != "x" {
		t.Errorf("got %+v, %v", reply, err)
	}
}

// A client is told the place of its message while that waits, each time that it has changed.
func TestPlaceInTheQueueIsToldOnce(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	var all []*delivery
	for _, id := range []string{"m1", "m2"} {
		m := d.newDelivery(journal.New{ID: id, Team: api.Team, Session: api.Session, Body: []byte("x"), At: time.Now()})
		if _, err := m.submit(pool.Turn{}); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	c := &client{t: t}
	c.with(func(_ context.Context, call *ipc.Call) {
		s := &streamer{d: d, call: call, id: "m2"}
		for _, m := range all {
			s.notifyPosition()
			s.notifyPosition()
			d.o.Pool.Cancel(m.new.ID)
			<-m.done
		}
		s.notifyPosition()
	})
	want := []ipc.MessageState{
		{ID: "m2", State: "queued", Position: 2, WaitsFor: "the test"}, {ID: "m2", State: "queued", Position: 1, WaitsFor: "the test"},
	}
	if !slices.Equal(c.states, want) {
		t.Errorf("told %+v", c.states)
	}
}
