package daemon

import (
	"testing"
	"time"

	"iris/ipc"
)

// A sender that lost its connection sends the message again with the same id.
func TestMessageIsAcceptedOnceUnderTheIDOfItsSender(t *testing.T) {
	d := startDaemon(t, "")
	send := ipc.Send{ID: ipc.NewID(time.Now()), Team: "echo", Text: "hello"}
	first := mustCall[ipc.Reply](d, ipc.MethodSend, send)
	again := mustCall[ipc.Reply](d, ipc.MethodSend, send)
	state := mustCall[ipc.MessageState](d, ipc.MethodSubmit, send)
	if first.ID != send.ID || again.ID != send.ID || state.ID != send.ID || state.Existing {
		t.Errorf("sent %s; got %s, %s and %+v", send.ID, first.ID, again.ID, state)
	}
	if list := mustCall[ipc.MessageList](d, ipc.MethodMessages, struct{}{}); len(list.Messages) != 1 {
		t.Errorf("%d messages are on record, want 1", len(list.Messages))
	}
}

func TestIDThatCannotBeUsedIsReplaced(t *testing.T) {
	d := startDaemon(t, "")
	taken := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "hello"}).ID
	for _, id := range []string{taken, ipc.NewID(time.Now().Add(-2 * time.Hour)), ipc.NewID(time.Now().Add(time.Hour))} {
		_, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{ID: id, Team: "echo", Text: "other"})
		wantCode(t, err, ipc.CodeConflict, id)
		other := err.(*ipc.Error).Data
		if other.Reason != "other-id" {
			t.Fatalf("got reason %q", other.Reason)
		}
		if r := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{ID: other.ID, Team: "echo", Text: "other"}); r.ID != other.ID {
			t.Errorf("got %s, want %s", r.ID, other.ID)
		}
	}
	_, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{ID: "../x", Team: "echo", Text: "other"})
	wantCode(t, err, ipc.CodeUsage, `"../x"`)
}
