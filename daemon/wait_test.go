package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"iris/ipc"
)

// retried returns a team and a message. The first attempt of the message makes a file and
// takes longer than any test; the second answers "second".
func retried(t *testing.T) (d *testDaemon, msg ipc.Send, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "first")
	run := fmt.Sprintf("run:test -e %s && echo second || { touch %[1]s; exec sleep 60; }", file)
	return startDaemon(t, "stop_grace = \"1s\"\n"+fakeTeam(t, "api")), ipc.Send{Team: "api", Text: run, OnUnknown: "retry"}, file
}

// lose kills the agent of the only message when a file exists.
func lose(d *testDaemon, file string) {
	d.t.Helper()
	eventually(d.t, "the turn", func() bool { _, err := os.Stat(file); return err == nil })
	agent := mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0]
	syscall.Kill(agent.PID, syscall.SIGKILL)
}

// A followed call records the notifications of a call.
type followed struct {
	retried bool
	seqs    []int64 // of the lines
}

func (f *followed) note(method string, raw json.RawMessage) {
	var st ipc.MessageState
	var out ipc.Output
	switch {
	case method == ipc.NotifyState && json.Unmarshal(raw, &st) == nil:
		f.retried = f.retried || st.Retried
	case method == ipc.NotifyOutput && json.Unmarshal(raw, &out) == nil && out.Seq > 0:
		f.seqs = append(f.seqs, out.Seq)
	}
}

func TestWhoWaitsGetsTheAnswerOfTheSecondAttempt(t *testing.T) {
	for _, method := range []string{ipc.MethodSend, ipc.MethodWait, ipc.MethodStream} {
		t.Run(method, func(t *testing.T) {
			d, msg, file := retried(t)
			msg.Stream = true
			var params any = &msg
			if method != ipc.MethodSend {
				id := submit(d, msg).ID
				params = map[string]any{ipc.MethodWait: ipc.Wait{IDs: []string{id}}, ipc.MethodStream: ipc.Stream{ID: id}}[method]
			}
			var f followed
			c := d.client()
			c.OnNotify = f.note
			var wg sync.WaitGroup
			var err error
			wg.Go(func() { err = c.Call(context.Background(), method, params, nil) })
			lose(d, file)
			wg.Wait()
			list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.MessageQuery{}).Messages
			if err != nil || len(list) != 1 || list[0].State != "done" || list[0].Attempts != 2 {
				t.Fatalf("got %v, %+v", err, list)
			}
			if r := mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: list[0].ID}); !strings.HasPrefix(r.Text, "second") {
				t.Errorf("answer: %q", r.Text)
			}
			if !f.retried {
				t.Error("nobody said that it was sent again")
			}
			if n := len(f.seqs); method != ipc.MethodWait && (n == 0 || !slices.IsSorted(f.seqs) || f.seqs[0]>>ipc.SeqBits != 0 || f.seqs[n-1]>>ipc.SeqBits != 1) {
				t.Errorf("seqs: %v", f.seqs)
			}
		})
	}
}

// Calls after the second attempt find one message, also at the next daemon.
func TestMessageOfTwoAttemptsIsOne(t *testing.T) {
	d, msg, file := retried(t)
	msg.Key = "k"
	id := submit(d, msg).ID
	lose(d, file)
	for range 2 {
		if st := awaitEnd(d, id); st.ID != id || st.State != "done" {
			t.Errorf("wait: got %+v", st)
		}
		if r := mustCall[ipc.Reply](d, ipc.MethodSend, msg); r.ID != id || !strings.HasPrefix(r.Text, "second") {
			t.Errorf("send with the key: got %s %s", r.ID, r.Text)
		}
		m := show(d, id)
		if states(m) != "queued running unknown queued running done" || m.History[1].Process == "" || m.History[4].Process == m.History[1].Process {
			t.Errorf("got %+v", m.History)
		}
		d.stop()
		d.run()
	}
}

func TestCancelOfTheSecondAttempt(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	id := submit(d, ipc.Send{Team: "api", Text: "hang", OnUnknown: "retry"}).ID
	eventually(t, "the turn", func() bool { return len(begun(t, ledger)) == 1 })
	lose(d, ledger)
	eventually(t, "the second turn", func() bool { return len(begun(t, ledger)) == 2 })
	if st := mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: id}); st.State != "interrupting" {
		t.Errorf("got %+v", st)
	}
	if st := awaitEnd(d, id); st.State != "cancelled" {
		t.Errorf("got %+v", st)
	}
}
