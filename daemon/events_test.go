package daemon

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"iris/ipc"
)

// A subscription begins with the name of the stream. The daemon applies the filter. A Seq
// from another daemon means the beginning.
func TestSubscriptionIsFilteredAndSaysWhoseNumbersItHas(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	for _, session := range []string{"", "s"} {
		mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Session: session, Text: "echo:hi"})
	}
	old := mustCall[ipc.EventList](d, ipc.MethodEvents, ipc.EventQuery{})
	session := "s"
	begin, events := subscribed(d, ipc.EventQuery{Team: "api", Session: &session, Types: []string{"message-response"}}, 1)
	if begin.Stream == "" || begin.Stream != old.Stream || begin.After != 0 || begin.Missed != 0 {
		t.Errorf("begins with %+v, list %+v", begin, old)
	}
	if e := events[0]; e.Session != "s" || e.Type != "message-response" || e.Seq <= 4 {
		t.Errorf("got %+v", e)
	}
	if begin, _ := subscribed(d, ipc.EventQuery{Stream: old.Stream, After: old.Last - 1}, 1); begin.After != old.Last-1 {
		t.Errorf("goes on with %+v after %d", begin, old.Last-1)
	}

	d.stop()
	d.run()
	for range 3 {
		mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:hi"})
	}
	begin, events = subscribed(d, ipc.EventQuery{Stream: old.Stream, After: 2}, 1)
	if begin.Stream == old.Stream || begin.After != 0 || events[0].Seq != 1 {
		t.Errorf("of another daemon: %+v, %+v", begin, events)
	}
	if list := mustCall[ipc.EventList](d, ipc.MethodEvents, ipc.EventQuery{Stream: old.Stream, After: 2}); list.After != 0 || list.Events[0].Seq != 1 {
		t.Errorf("of another daemon: %+v", list)
	}
}

// subscribed returns the begin notification and the first n events of a subscription.
func subscribed(d *testDaemon, want ipc.EventQuery, n int) (begin ipc.Begin, events []ipc.Event) {
	d.t.Helper()
	c := d.client()
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	c.OnNotify = func(method string, params json.RawMessage) {
		mu.Lock()
		defer mu.Unlock()
		var e ipc.Event
		switch {
		case method == ipc.NotifyBegin && json.Unmarshal(params, &begin) == nil:
		case method == ipc.NotifyEvent && json.Unmarshal(params, &e) == nil:
			if events = append(events, e); len(events) == n {
				cancel()
			}
		}
	}
	c.Call(ctx, ipc.MethodSubscribe, want, nil)
	mu.Lock()
	defer mu.Unlock()
	if len(events) < n {
		d.t.Fatalf("got %d events, want %d", len(events), n)
	}
	return begin, events
}
