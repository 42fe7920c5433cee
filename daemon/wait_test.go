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

// sentAgain is a team, and a message that is answered by "second" when it runs for
// the second time; the first time it makes a file and takes longer than any test.
func sentAgain(t *testing.T) (d *testDaemon, msg ipc.Send, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "first")
	run := fmt.Sprintf("run:test -e %s && echo second || { touch %[1]s; exec sleep 60; }", file)
	return startDaemon(t, "stop_grace = \"1s\"\n"+fakeTeam(t, "api")), ipc.Send{Team: "api", Text: run, OnUnknown: "retry"}, file
}

// lose kills the agent of the only message once a file is there, and returns the
// message and the one that is sent in its place.
func lose(d *testDaemon, file string) (first, again string) {
	d.t.Helper()
	eventually(d.t, "the turn", func() bool { _, err := os.Stat(file); return err == nil })
	agent := mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0]
	first = agent.Message
	syscall.Kill(agent.PID, syscall.SIGKILL)
	eventually(d.t, "the second message", func() bool {
		newest := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.List{Limit: 1}).Messages[0]
		again = newest.ID
		return newest.RetryOf == first
	})
	return first, again
}

// A followed call is what a client is told during one, in order.
type followed struct {
	instead []string // "first second" for each message that was told to be in the place of another one
	output  []string // the messages that lines came of
}

func (f *followed) note(method string, raw json.RawMessage) {
	var st ipc.MessageState
	var out ipc.Output
	switch {
	case method == ipc.NotifyState && json.Unmarshal(raw, &st) == nil && st.InsteadOf != "":
		f.instead = append(f.instead, st.InsteadOf+" "+st.ID)
	case method == ipc.NotifyOutput && json.Unmarshal(raw, &out) == nil && !slices.Contains(f.output, out.ID):
		f.output = append(f.output, out.ID)
	}
}

func TestWhoWaitsGoesOnWithTheMessageThatIsSentAgain(t *testing.T) {
	for _, method := range []string{ipc.MethodSend, ipc.MethodWait, ipc.MethodStream} {
		t.Run(method, func(t *testing.T) {
			d, msg, file := sentAgain(t)
			msg.Stream = true
			var params any = &msg
			if method != ipc.MethodSend {
				id := submit(d, msg).ID
				params = map[string]any{ipc.MethodWait: ipc.Wait{IDs: []string{id}}, ipc.MethodStream: ipc.Stream{ID: id}}[method]
			}
			var f followed
			var answer struct{ ipc.MessageState }
			c := d.client()
			c.OnNotify = f.note
			var wg sync.WaitGroup
			var err error
			wg.Go(func() { err = c.Call(context.Background(), method, params, &answer) })
			first, again := lose(d, file)
			wg.Wait()
			if err != nil || !slices.Equal(f.instead, []string{first + " " + again}) {
				t.Errorf("got %v, told %q, want %s %s", err, f.instead, first, again)
			}
			if method == ipc.MethodWait && (answer.ID != again || answer.State != "done" || answer.InsteadOf != first) {
				t.Errorf("got %+v", answer)
			}
			if method != ipc.MethodWait && !slices.Equal(f.output, []string{first, again}) {
				t.Errorf("output of %q, want %s %s", f.output, first, again)
			}
		})
	}
}

// Also who comes later, and to another daemon.
func TestMessageThatWasSentAgainLeadsToTheSecondOne(t *testing.T) {
	d, msg, file := sentAgain(t)
	msg.Key = "k"
	submit(d, msg)
	first, again := lose(d, file)
	for range 2 {
		if st := awaitEnd(d, first); st.ID != again || st.State != "done" || st.InsteadOf != first {
			t.Errorf("wait: got %+v, want %s", st, again)
		}
		if st := awaitEnd(d, again); st.ID != again || st.InsteadOf != "" {
			t.Errorf("wait for the second: got %+v", st)
		}
		if r := mustCall[ipc.Reply](d, ipc.MethodSend, msg); r.ID != again || !strings.HasPrefix(text(t, r), "second") {
			t.Errorf("send with the key: got %s %s, want %s", r.ID, r.Text, again)
		}
		_, err := call[ipc.Reply](d, ipc.MethodResult, ipc.Which{ID: first})
		wantCode(t, err, ipc.CodeUnknown)
		if e := err.(*ipc.Error); !strings.Contains(e.Hint(), "iris wait "+again) || strings.Contains(e.Hint(), "retry") {
			t.Errorf("hint: %s", e.Hint())
		}
		d.stop()
		d.run()
	}

	// What a person has said of the first one stands.
	mustCall[ipc.MessageState](d, ipc.MethodResolve, ipc.Resolve{ID: first, State: "failed"})
	if st := awaitEnd(d, first); st.ID != first || st.State != "failed" {
		t.Errorf("resolved: got %+v", st)
	}
}

func TestCancelOfAMessageThatWasSentAgainEndsTheSecondOne(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	submit(d, ipc.Send{Team: "api", Text: "hang", OnUnknown: "retry"})
	eventually(t, "the turn", func() bool { return len(begun(t, ledger)) == 1 })
	first, again := lose(d, ledger)
	eventually(t, "the second turn", func() bool { return len(begun(t, ledger)) == 2 })
	if st := mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: first}); st.ID != again || st.State != "interrupting" {
		t.Errorf("got %+v, want %s", st, again)
	}
	if st := awaitEnd(d, first); st.ID != again || st.State != "cancelled" {
		t.Errorf("got %+v", st)
	}
}
