package daemon

import (
	"testing"

	"iris/ipc"
)

// On a disk that is too small for any turn, no message is accepted: it could only wait.
func TestMessageOnADiskTooSmallForATurnIsRefused(t *testing.T) {
	if !onSmallDisk(t, "1500k") {
		return
	}
	d := startDaemon(t, fakeTeam(t, "api"))
	_, err := call[ipc.MessageState](d, ipc.MethodSubmit, ipc.Send{Team: "api", Text: "echo:x"})
	wantCode(t, err, ipc.CodeFull, "2048 KB")
	if list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.MessageQuery{}); len(list.Messages) > 0 {
		t.Errorf("it is on record: %+v", list.Messages)
	}
}
