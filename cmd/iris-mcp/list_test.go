package main

import (
	"context"
	"strings"
	"testing"

	"iris/ipc"
)

// What a tool does about a team is allowed for the teams that the caller may write to.
func TestToolsForTeams(t *testing.T) {
	var asked []ipc.Target
	target := func(result any) ipc.Handler {
		return func(_ context.Context, c *ipc.Call) (any, error) {
			var t ipc.Target
			err := c.Bind(&t)
			asked = append(asked, t)
			return result, err
		}
	}
	me := ipc.Caller{Agent: "p-1", Team: "a"}
	d, s := newDaemon(t, map[string]ipc.Handler{
		ipc.MethodCaller: func(context.Context, *ipc.Call) (any, error) { return me, nil },
		ipc.MethodList: says(ipc.ProcessList{Processes: []ipc.Process{
			{Team: "b", Session: "s", State: "busy", Queue: 2}, {Team: "c", State: "idle"},
		}}),
		ipc.MethodWake:  target(ipc.Process{Team: "b", State: "idle"}),
		ipc.MethodEvict: target(ipc.Stopped{Later: []ipc.Process{{}}}),
		ipc.MethodReset: target(ipc.Conversation{}),
	})
	d.configure("[teams.a]\ndir = \"/a\"\nmcp = true\n[teams.b]\ndir = \"/b\"\nmcp = true\ndescription = \"bees\"\nenv = { SECRET = \"hush\" }\n[teams.c]\ndir = \"/c\"\n")
	out, failed := s.use(t, "list_teams", map[string]any{})
	has(t, out, failed, `{"teams":[{"dir":"/a","name":"a"},{"description":"bees","dir":"/b","name":"b","sessions":[{"queue":2,"session":"s","state":"busy"}]}],"you":"a"}`)
	for tool, want := range map[string]string{"wake_team": "idle", "evict_team": "stops after its turn", "reset_session": "reset"} {
		out, failed := s.use(t, tool, map[string]any{"team": "b"})
		has(t, out, failed, `{"state":"`+want+`","team":"b"}`)
		if _, failed := s.use(t, tool, map[string]any{"team": "c"}); !strings.Contains(failed, "you may not write to team c. list_teams") {
			t.Errorf("%s: got %s", tool, failed)
		}
		if _, failed := s.use(t, tool, map[string]any{"team": "d"}); !strings.Contains(failed, `no team "d". list_teams`) {
			t.Errorf("%s: got %s", tool, failed)
		}
	}
	if len(asked) != 3 || asked[0] != (ipc.Target{Team: "b"}) {
		t.Errorf("got %+v", asked)
	}
	me = ipc.Caller{} // a person's agent
	if out, failed := s.use(t, "list_teams", map[string]any{}); len(out["teams"].([]any)) != 4 || out["you"] != nil {
		t.Errorf("got %v %s", out, failed)
	}
}

// An agent sees the messages of its own team, and cancels what it has sent itself.
func TestMessagesOfTheCaller(t *testing.T) {
	me := ipc.Caller{Agent: "p-1", Team: "a", Session: "s"}
	all := []ipc.Message{{ID: "m1", Team: "b", From: "a@s", State: "running"}, {ID: "m2", Team: "a", State: "done"}, {ID: "m3", Team: "b", From: "ab"}, {ID: "m4", Team: "c", From: "a", Session: "x"}}
	var query ipc.MessageQuery
	d, s := newDaemon(t, map[string]ipc.Handler{
		ipc.MethodCaller: func(context.Context, *ipc.Call) (any, error) { return me, nil },
		ipc.MethodMessages: func(_ context.Context, c *ipc.Call) (any, error) {
			return ipc.MessageList{Messages: all}, c.Bind(&query)
		},
		ipc.MethodShow: func(_ context.Context, c *ipc.Call) (any, error) {
			var ref ipc.MessageRef
			c.Bind(&ref)
			for _, m := range all {
				if m.ID == ref.ID {
					return m, nil
				}
			}
			return fails(ipc.CodeNotFound, "no-such-message", "none")(nil, nil)
		},
		ipc.MethodCancel: says(ipc.MessageState{ID: "m1", State: "interrupting"}),
	})
	listed := func(args map[string]any) (ids string, more any) {
		t.Helper()
		out, failed := s.use(t, "list_messages", args)
		if failed != "" {
			t.Fatal(failed)
		}
		for _, m := range out["messages"].([]any) {
			ids += m.(map[string]any)["id"].(string) + " "
		}
		return ids, out["more"]
	}
	if ids, more := listed(map[string]any{"team": "b", "state": "done"}); ids != "m1 m2 m4 " || more != nil || query.Team != "b" || query.States[0] != "done" {
		t.Errorf("got %s %v, asked %+v", ids, more, query)
	}
	if ids, more := listed(map[string]any{"limit": 2}); ids != "m1 m2 " || more != true {
		t.Errorf("got %s %v", ids, more)
	}
	if _, failed := s.use(t, "list_messages", map[string]any{"limit": 201}); !strings.Contains(failed, "it must be 1 to 200") {
		t.Errorf("got %s", failed)
	}
	for id, want := range map[string]string{"m3": "you have not sent the message m3", "m4": "you have not sent", "m9": "list_messages lists your messages"} {
		if _, failed := s.use(t, "cancel_message", map[string]any{"id": id}); !strings.Contains(failed, want) {
			t.Errorf("%s: got %s", id, failed)
		}
	}
	if strings.Contains(d.called(), ipc.MethodCancel) {
		t.Error("a message of others was cancelled")
	}
	out, failed := s.use(t, "cancel_message", map[string]any{"id": "m1"})
	has(t, out, failed, `{"id":"m1","state":"interrupting"}`)
	me = ipc.Caller{} // a person decides about every message
	if ids, _ := listed(nil); ids != "m1 m2 m3 m4 " {
		t.Errorf("got %s", ids)
	}
	out, failed = s.use(t, "cancel_message", map[string]any{"id": "m3"})
	has(t, out, failed, `{"id":"m1","state":"interrupting"}`)
}
