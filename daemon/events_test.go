package daemon

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"iris/ipc"
	"iris/pool/turn"
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

// Each message has one event of its end, which says how it ended, also if it was never sent
// or has two attempts.
func TestEveryMessageHasOneEventOfItsEnd(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	want := map[string]string{}
	send := func(p ipc.Send, end string) string {
		p.Team = "api"
		id := submit(d, p).ID
		want[id] = end
		return id
	}
	for text, end := range map[string]string{
		"echo:x": "done", "fail:denied": "done: denied", "fail:400": "failed: api-error", "crash:mid": "unknown",
	} {
		awaitEnd(d, send(ipc.Send{Text: text}, end))
	}
	awaitEnd(d, send(ipc.Send{Text: "echo:words", Options: turn.Variant{JSONSchema: `{"type":"object"}`}}, "failed"))

	again := send(ipc.Send{Text: "hang", OnUnknown: "retry"}, "cancelled: interrupted")
	cancelled := send(ipc.Send{Text: "echo:cancelled"}, "cancelled")
	expired := send(ipc.Send{Text: "echo:late", TTL: 1}, "expired")
	killAgent(d, ledger, "hang")
	eventually(t, "the second attempt", func() bool { return show(d, again).Attempts == 2 })
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: cancelled})
	awaitEnd(d, cancelled)
	awaitEnd(d, expired)
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: again})
	awaitEnd(d, again)
	got := map[string]string{}
	for _, e := range mustCall[ipc.EventList](d, ipc.MethodEvents, ipc.EventQuery{Types: []string{"message-ended"}}).Events {
		got[e.Message] += e.Detail
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ends (-want +got):\n%s", diff)
	}
}
