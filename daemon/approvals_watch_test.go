package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"iris/ipc"
)

// told is a waiting call that is notified of approvals.
type told struct {
	err  error
	done chan struct{}

	mu    sync.Mutex
	lines []string
	first ipc.Approval
}

func (w *told) note(method string, raw json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var a ipc.Approval
	if json.Unmarshal(raw, &a) == nil && strings.HasPrefix(method, "approval.") {
		if w.first.ID == "" {
			w.first = a
		}
		w.lines = append(w.lines, strings.TrimSpace(method+" "+a.Tool+" "+a.Decision)+fmt.Sprint(" ", len(a.Input)))
	}
}

func (w *told) approval() ipc.Approval {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first
}

// watching makes a waiting call.
func watching(d *testDaemon, method string, params any) *told {
	d.t.Helper()
	w := &told{done: make(chan struct{})}
	c := d.client()
	c.OnNotify = w.note
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(w.done)
		w.err = c.Call(context.Background(), method, params, nil)
	})
	d.t.Cleanup(wg.Wait)
	return w
}

func TestWaitingSenderIsTold(t *testing.T) {
	d := asking(t)
	quiet := watching(d, ipc.MethodSend, ipc.Send{Team: "api", Session: "quiet", Text: "ask:Bash:{}"})
	other := watching(d, ipc.MethodSend, ipc.Send{Team: "api", Session: "other", Text: "ask:Edit:{}", Approvals: true})
	w := watching(d, ipc.MethodSend, ipc.Send{Team: "api", Text: `ask:Bash:{"n":1} Write:{"n":2}`, Approvals: true})
	eventually(t, "a notification", func() bool { return w.approval().ID != "" && other.approval().ID != "" })
	a := w.approval()
	late := watching(d, ipc.MethodWait, ipc.Wait{IDs: []string{a.Message}, Approvals: true})
	eventually(t, "the same for who comes later", func() bool { return late.approval().ID == a.ID })
	eventually(t, "all of them", func() bool {
		for _, a := range approvalsOf(d) {
			mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: true})
		}
		return len(details(d, "approval-decided")) == 4
	})
	for x, want := range map[*told]string{
		w:     "approval.asked Bash 7|approval.asked Write 7|approval.decided Bash allowed 0|approval.decided Write allowed 0",
		late:  "approval.asked Bash 7|approval.asked Write 7|approval.decided Bash allowed 0|approval.decided Write allowed 0",
		other: "approval.asked Edit 2|approval.decided Edit allowed 0", quiet: "",
	} {
		<-x.done
		slices.Sort(x.lines)
		if got := strings.Join(x.lines, "|"); got != want || x.err != nil {
			t.Errorf("told %s, %v\nwant %s", got, x.err, want)
		}
	}
}

// A waiting call is also notified in the second attempt of a message.
func TestWaitingSenderIsToldOfTheSecondTry(t *testing.T) {
	d := asking(t)
	w := watching(d, ipc.MethodSend, ipc.Send{Team: "api", Text: "ask:Bash:{}", OnUnknown: "retry", Approvals: true})
	eventually(t, "a notification", func() bool { return w.approval().ID != "" })
	first := w.approval()
	agent := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0]
	syscall.Kill(agent.PID, syscall.SIGKILL)
	var second ipc.Approval
	eventually(t, "the second try", func() bool {
		for _, second = range approvalsOf(d) {
		}
		return second.Process != "" && second.Process != agent.ID
	})
	mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: second.ID, Allow: true})
	<-w.done
	want := "approval.asked Bash 2|approval.decided Bash withdrawn 0|approval.asked Bash 2|approval.decided Bash allowed 0"
	if got := strings.Join(w.lines, "|"); got != want || w.err != nil || second.Message != first.Message {
		t.Errorf("told %s, %v\nwant %s", got, w.err, want)
	}
}
