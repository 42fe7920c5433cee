package daemon

import (
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// killAgent kills the agent of a message after the message has begun.
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
	_, err := call[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: lost.ID})
	wantCode(t, err, ipc.CodeUnknown, "api")
	mustCall[ipc.MessageState](d, ipc.MethodResolve, ipc.Resolve{ID: lost.ID, State: "failed", Note: "looked"})
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v", end)
	}
	_, err = call[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: lost.ID})
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
		_, err = call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "hang:deaf", OnUnknown: "retry", TTL: time.Minute.Milliseconds()})
	})
	killAgent(d, ledger, "hang:deaf")
	eventually(t, "the second run", func() bool { return len(begun(t, ledger)) == 2 })
	entries, _ := claudetest.ReadLedger(ledger)
	syscall.Kill(entries[len(entries)-1].PID, syscall.SIGKILL)
	wg.Wait()
	wantCode(t, err, ipc.CodeUnknown) // twice is enough
	list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.MessageQuery{Team: "api"})
	if got := begun(t, ledger); len(got) != 2 || len(list.Messages) != 1 || list.Messages[0].State != "unknown" {
		t.Errorf("begun: %q, on record %+v", got, list.Messages)
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

func TestRetryOfAnUnknownMessageIsAnotherAttempt(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	lost := submit(d, ipc.Send{Team: "api", Text: "hang:deaf", Key: "k", OnUnknown: "hold"})
	_, err := call[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID})
	wantCode(t, err, ipc.CodeFull, lost.ID)
	waits := submit(d, ipc.Send{Team: "api", Text: "echo:next"})
	killAgent(d, ledger, "hang:deaf")
	awaitEnd(d, lost.ID)
	_, err = call[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID, Key: "k"})
	wantCode(t, err, ipc.CodeUsage, lost.ID)
	if st := mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID, NewID: "01m848j1qq28fxdd"}); st.ID != lost.ID || !st.Retried {
		t.Errorf("got %+v", st)
	}
	if st := mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID, NewID: "01m848j1qq28fxdd"}); st.ID != lost.ID {
		t.Errorf("the same request again: got %+v", st)
	}
	eventually(t, "the second run", func() bool { return len(begun(t, ledger)) == 2 })
	_, err = call[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID})
	wantCode(t, err, ipc.CodeFull, lost.ID)
	killSecond(t, ledger)
	if end := awaitEnd(d, lost.ID); end.State != "unknown" { // it holds its conversation once more
		t.Errorf("got %+v", end)
	}
	if m := show(d, waits.ID); m.State != "queued" {
		t.Errorf("the next one is %s", m.State)
	}
	mustCall[ipc.MessageState](d, ipc.MethodResolve, ipc.Resolve{ID: lost.ID, State: "failed"})
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v", end)
	}
}

// A message that is sent again keeps its place: before those that it has held, also in the
// next daemon.
func TestRetriedMessageRunsBeforeWhatItHeld(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		toml, ledger := ledgerTeam(t, "api")
		d := startDaemon(t, toml)
		path, open := gate(t)
		first := "sleep:@" + path
		lost := submit(d, ipc.Send{Team: "api", Text: first, OnUnknown: "hold"})
		submit(d, ipc.Send{Team: "api", Text: "echo:second"})
		third := submit(d, ipc.Send{Team: "api", Text: "echo:third"})
		killAgent(d, ledger, first)
		awaitEnd(d, lost.ID)
		if restarted {
			d.stop()
			d.run()
		}
		open()
		mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: lost.ID})
		awaitEnd(d, third.ID)
		if got, want := begun(t, ledger), []string{first, first, "echo:second", "echo:third"}; !slices.Equal(got, want) {
			t.Errorf("restarted %t: got %q, want %q", restarted, got, want)
		}
		d.stop()
	}
}

// killSecond kills the agent whose turn began last.
func killSecond(t *testing.T, ledger string) {
	t.Helper()
	entries, err := claudetest.ReadLedger(ledger)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(entries[len(entries)-1].PID, syscall.SIGKILL)
}

func TestRetryOfAnEndedMessageIsANewOne(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	old := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	awaitEnd(d, old.ID)
	again := mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: old.ID, Key: "k"})
	if m := show(d, again.ID); again.ID == old.ID || m.RetryOf != old.ID {
		t.Errorf("got %+v", m)
	}
	if twice := mustCall[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: old.ID, Key: "k"}); twice.ID != again.ID {
		t.Errorf("with the key once more: got %s, want %s", twice.ID, again.ID)
	}
	awaitEnd(d, again.ID)
	_, err := call[ipc.MessageState](d, ipc.MethodRetry, ipc.Retry{ID: again.ID, Key: "k"})
	wantCode(t, err, ipc.CodeConflict, again.ID)
}

// An earlier version of iris may have left an unknown message that is to be sent again.
func TestUnknownMessageOfAnEarlierIrisRunsAgainOnce(t *testing.T) {
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
	if m := show(d, lost.ID); m.State != "done" || m.Attempts != 2 {
		t.Errorf("got %+v", m)
	}
}
