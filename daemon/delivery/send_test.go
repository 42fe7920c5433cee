package delivery

import (
	"slices"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/turn"
)

// A sender is told that its message waits, or that it runs, or that it was there already.
func TestSenderIsToldHowFarItsMessageIs(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	send := ipc.Send{Team: api.Team, Session: api.Session, Text: "echo:x"}
	const queued, running, existing = "queued", "running", "existing"
	for _, step := range []struct {
		what  string
		held  bool
		key   string
		twice bool // submitted with the key before
		want  []string
	}{
		{"warm", false, "", false, nil},
		{"agent is idle", false, "", false, []string{running}},
		{"must wait", true, "k1", false, []string{queued, running}},
		{"is there and waits", true, "k2", true, []string{existing}},
		{"has ended", false, "k1", false, []string{existing}},
	} {
		if step.held {
			d.o.Pool.Hold(api, "the test")
		}
		send.Key = step.key
		if step.twice {
			for _, exists := range []bool{false, true} {
				c := &client{t: t}
				var st ipc.MessageState
				if err := c.call(d.Submit, send, &st); err != nil || st.Existing != exists || len(c.states) > 0 {
					t.Errorf("%s: submit answers %+v, %v, and tells %+v", step.what, st, err, c.states)
				}
			}
		}
		c := &client{t: t, onState: func(ipc.MessageState) { d.o.Pool.Unhold(api) }}
		var reply ipc.Reply
		if err := c.call(d.Send, send, &reply); err != nil || reply.Text != "x" {
			t.Fatalf("%s: got %+v, %v", step.what, reply, err)
		}
		var told []string
		for _, st := range c.states {
			if st.Existing {
				st.State = existing
			}
			told = append(told, st.State)
		}
		if step.want != nil && !slices.Equal(told, step.want) {
			t.Errorf("%s: told %+v", step.what, c.states)
		}
	}
}

// A repeated retry sends nothing again, and a message is not its own repetition.
func TestRetryIsOneNewMessage(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	old := journal.New{ID: ipc.NewID(time.Now()), Team: api.Team, Session: api.Session, Options: journal.Options{Key: "k"}}
	record(t, d, old, journal.End{State: journal.Failed})
	own := d.inflight.ids.next(time.Now())
	ids := map[string]bool{}
	for _, p := range []ipc.Retry{{ID: old.ID, NewID: own}, {ID: old.ID, NewID: own}, {ID: old.ID}, {ID: old.ID}} {
		var st ipc.MessageState
		c := &client{t: t}
		if err := c.call(d.Retry, p, &st); err != nil || p.NewID != "" && st.ID != own {
			t.Errorf("%+v: got %+v, %v", p, st, err)
		}
		ids[st.ID] = true
	}
	if len(ids) != 3 || ids[old.ID] {
		t.Errorf("the new messages are %v", ids)
	}
	c := &client{t: t}
	if err := c.call(d.Retry, ipc.Retry{ID: old.ID, Key: "k"}, nil); code(err) != ipc.CodeConflict {
		t.Errorf("with its own key: %v", err)
	}
	if err := c.call(d.Retry, ipc.Retry{ID: old.ID, NewID: "x"}, nil); code(err) != ipc.CodeUsage {
		t.Errorf("with a bad id: %v", err)
	}
}

// How many messages a call can wait for has limits.
func TestWaitHasLimits(t *testing.T) {
	d := newDispatcher(t, "")
	for n, want := range map[int]int{0: ipc.CodeUsage, 1: ipc.CodeNotFound, maxPage: ipc.CodeNotFound, maxPage + 1: ipc.CodeUsage} {
		c := &client{t: t}
		if err := c.call(d.Wait, ipc.Wait{IDs: slices.Repeat([]string{"none"}, n)}, nil); code(err) != want {
			t.Errorf("%d messages: %v", n, err)
		}
	}
}

// Who waits for several messages gets the first that ends.
func TestFirstEndIsTheAnswer(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	var ids []string
	for range 2 {
		var st ipc.MessageState
		c := &client{t: t}
		if err := c.call(d.Submit, ipc.Send{Team: api.Team, Session: api.Session, Text: "echo:x"}, &st); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, st.ID)
	}
	c := &client{t: t}
	c.onState = func(ipc.MessageState) {
		if len(c.states) == 2 {
			d.o.Pool.Cancel(ids[1])
		}
	}
	var end ipc.MessageState
	err := c.call(d.Wait, ipc.Wait{IDs: ids}, &end)
	if want := (ipc.MessageState{ID: ids[1], State: "cancelled"}); err != nil || end != want {
		t.Errorf("got %+v, %v", end, err)
	}
	for i, st := range c.states {
		if i > 1 || st.ID != ids[i] || st.State != "queued" || st.Position != i+1 {
			t.Errorf("told %+v", c.states)
		}
	}
}

// A message is on record with what its sender wants, or its sender is told why not.
func TestSubmittedMessageIsOnRecordOrRefused(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	for _, model := range []string{"", "opus"} {
		c := &client{t: t}
		var st ipc.MessageState
		err := c.call(d.Submit, ipc.Send{Team: api.Team, Session: api.Session, Text: "x", Options: turn.Variant{Model: model}}, &st)
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.o.Store.Message(st.ID)
		if err != nil || m.Options.Variant.Value().Model != model || (m.Options.Variant == nil) != (model == "") {
			t.Errorf("model %q: got %+v, %v", model, m.Options, err)
		}
	}
	c := &client{t: t}
	if err := c.call(d.Submit, ipc.Send{Team: api.Team, Session: api.Session, Text: "x", IfBusy: "fail"}, nil); code(err) != ipc.CodeFull {
		t.Errorf("its conversation is busy: %v", err)
	}
}

// A message that comes again with the id of its sender is the one that is there.
func TestOwnIDIsOneMessage(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	own := d.inflight.ids.next(time.Now())
	for range 2 {
		c := &client{t: t}
		var st ipc.MessageState
		if err := c.call(d.Submit, ipc.Send{ID: own, Team: api.Team, Session: api.Session, Text: "echo:x"}, &st); err != nil || st.ID != own {
			t.Errorf("got %+v, %v", st, err)
		}
	}
	c := &client{t: t, onState: func(ipc.MessageState) { d.o.Pool.Unhold(api) }}
	var reply ipc.Reply
	if err := c.call(d.Send, ipc.Send{ID: own, Team: api.Team, Session: api.Session, Text: "echo:x"}, &reply); err != nil || reply.ID != own || reply.Text != "x" {
		t.Errorf("got %+v, %v", reply, err)
	}
}
