package daemon

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// killAgent kills the agent of a message once that has begun.
func killAgent(d *testDaemon, ledger, msg string) {
	d.t.Helper()
	pid := 0
	eventually(d.t, "the turn of "+msg, func() bool {
		entries, _ := claudetest.ReadLedger(ledger)
		for _, e := range entries {
			if e.Kind == "B" && e.Text == msg {
				pid = e.PID
			}
		}
		return pid != 0
	})
	syscall.Kill(pid, syscall.SIGKILL)
}

func TestUnknownMessageHoldsItsConversationUntilResolved(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	lost := submit(d, ipc.Send{Team: "api", Text: "hang:deaf", OnUnknown: "hold"})
	waits := submit(d, ipc.Send{Team: "api", Text: "echo:next"})
	killAgent(d, ledger, "hang:deaf")
	if end := awaitEnd(d, lost.ID); end.State != "unknown" {
		t.Fatalf("got %+v", end)
	}
	if st, err := ask(d, "api@other", "echo:beside"); err == nil || st.ID != "" { // not a session: ask takes a team
		t.Fatalf("got %+v", st)
	}
	d.stop()
	d.run() // it is held by the next daemon too
	if m := show(d, waits.ID); m.State != "queued" {
		t.Errorf("the next one is %s", m.State)
	}
	_, err := call[ipc.Reply](d, ipc.MethodResult, ipc.Which{ID: lost.ID})
	wantCode(t, err, ipc.CodeUnknown, "api")
	mustCall[ipc.MessageState](d, ipc.MethodResolve, ipc.Resolve{ID: lost.ID, State: "failed", Note: "looked"})
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v", end)
	}
	_, err = call[ipc.Reply](d, ipc.MethodResult, ipc.Which{ID: lost.ID})
	wantCode(t, err, ipc.CodeFailed, "a person")
	if m := show(d, lost.ID); states(m) != "queued running unknown failed" || m.History[3].By == "" || m.History[3].Note != "looked" {
		t.Errorf("got %+v", m.History)
	}
	_, err = call[ipc.MessageState](d, ipc.MethodResolve, ipc.Resolve{ID: waits.ID, State: "failed"})
	wantCode(t, err, ipc.CodeUsage, "done")
}

func TestUnknownMessageRunsAgainWhereItsSenderWantsThat(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		_, err = call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "hang:deaf", OnUnknown: "retry"})
	})
	killAgent(d, ledger, "hang:deaf")
	eventually(t, "the second run", func() bool { return len(begun(t, ledger)) == 2 })
	list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.List{Team: "api"})
	if len(list.Messages) != 2 || list.Messages[0].RetryOf != list.Messages[1].ID || list.Messages[1].State != "unknown" {
		t.Fatalf("got %+v", list.Messages)
	}
	entries, _ := claudetest.ReadLedger(ledger)
	syscall.Kill(entries[len(entries)-1].PID, syscall.SIGKILL)
	wg.Wait()
	wantCode(t, err, ipc.CodeUnknown) // twice is enough
	if got := begun(t, ledger); len(got) != 2 {
		t.Errorf("begun: %q", got)
	}
}

func TestUnknownMessageRunsAgainThoughTheQueueIsFull(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api", "queue_limit = 1")
	d := startDaemon(t, toml)
	submit(d, ipc.Send{Team: "api", Text: "hang:deaf", OnUnknown: "retry"})
	eventually(t, "the turn", func() bool { return len(begun(t, ledger)) == 1 })
	submit(d, ipc.Send{Team: "api", Text: "echo:waits"})
	killAgent(d, ledger, "hang:deaf")
	eventually(t, "the second run", func() bool {
		n := 0
		for _, text := range begun(t, ledger) {
			if text == "hang:deaf" {
				n++
			}
		}
		return n == 2
	})
	entries, _ := claudetest.ReadLedger(ledger)
	syscall.Kill(entries[len(entries)-1].PID, syscall.SIGKILL)
}

func TestRetryIsANewMessage(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	lost := submit(d, ipc.Send{Team: "api", Text: "hang:deaf", Key: "k"})
	_, err := call[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID})
	wantCode(t, err, ipc.CodeFull, lost.ID)
	killAgent(d, ledger, "hang:deaf")
	awaitEnd(d, lost.ID)
	_, err = call[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID, Key: "k"})
	wantCode(t, err, ipc.CodeConflict, lost.ID)
	if m := show(d, lost.ID); m.State != "unknown" {
		t.Errorf("it was not sent again and is %s", m.State)
	}
	again := mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID})
	if m := show(d, again.ID); again.ID == lost.ID || m.RetryOf != lost.ID {
		t.Errorf("got %+v", m)
	}
	if m := show(d, lost.ID); m.State != "failed" || !strings.Contains(m.History[len(m.History)-1].Note, again.ID) {
		t.Errorf("the old one: %+v", m.History)
	}
}

// A daemon that dies between the end of an unknown message and the message that
// repeats it leaves the second to the next one, once.
func TestUnknownMessageRunsAgainAfterACrashInBetween(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	d.stop()
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	lost := journal.New{ID: "01m0000000000000", Team: "api", Body: []byte("echo:again"), At: time.Now(), Options: journal.Options{OnUnknown: "retry"}}
	if _, err := j.AcceptAndDispatch(lost, journal.Attempt{Process: "gone-1", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.End(lost.ID, journal.End{State: journal.Unknown, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	for range 2 {
		d.run()
		eventually(t, "the second run", func() bool { return len(begun(t, ledger)) == 1 })
		d.stop()
	}
	d.run()
	list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.List{})
	if len(list.Messages) != 2 || list.Messages[0].RetryOf != lost.ID || list.Messages[0].State != "done" {
		t.Errorf("got %+v", list.Messages)
	}
}
