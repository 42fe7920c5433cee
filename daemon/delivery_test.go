package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// ledgerTeam returns a team whose scripted agent keeps a ledger.
func ledgerTeam(t *testing.T, name string, more ...string) (toml, ledger string) {
	t.Helper()
	ledger = filepath.Join(t.TempDir(), "ledger")
	return fakeTeam(t, name, append(more, fmt.Sprintf("args = [%q]", "--fake-ledger="+ledger))...), ledger
}

// begun lists the texts of the messages that agents have begun, in their order.
func begun(t *testing.T, ledger string) (texts []string) {
	t.Helper()
	entries, err := claudetest.ReadLedger(ledger)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Kind == "B" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func submit(d *testDaemon, s ipc.Send) ipc.MessageState {
	d.t.Helper()
	return mustCall[ipc.MessageState](d, ipc.MethodSubmit, s)
}

func awaitEnd(d *testDaemon, ids ...string) ipc.MessageState {
	d.t.Helper()
	return mustCall[ipc.MessageState](d, ipc.MethodWait, ipc.Wait{IDs: ids})
}

func answer(d *testDaemon, id string) string {
	d.t.Helper()
	return mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: id}).Text
}

func show(d *testDaemon, id string) ipc.Message {
	d.t.Helper()
	return mustCall[ipc.Message](d, ipc.MethodShow, ipc.MessageRef{ID: id})
}

func states(m ipc.Message) string {
	var all []string
	for _, c := range m.History {
		all = append(all, c.State)
	}
	return strings.Join(all, " ")
}

func TestSubmittedMessageIsAnsweredLater(t *testing.T) {
	d := startDaemon(t, "")
	st := submit(d, ipc.Send{Team: "echo", Text: "later"})
	if st.ID == "" || st.State != "queued" || st.Existing {
		t.Errorf("got %+v", st)
	}
	if end := awaitEnd(d, st.ID); end.ID != st.ID || end.State != "done" {
		t.Errorf("end: %+v", end)
	}
	if got := answer(d, st.ID); got != "later" {
		t.Errorf("answer %q", got)
	}
	if r := mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{Team: "echo"}); r.ID != st.ID {
		t.Errorf("last of the team: %s, want %s", r.ID, st.ID)
	}
	m := show(d, st.ID)
	if states(m) != "queued running done" || m.Attempts != 1 || m.Bytes != 5 || m.SessionID == "" || m.Ended == nil || m.Process == "" {
		t.Errorf("got %+v", m)
	}
}

func TestMessageThatFindsAnIdleAgentIsRecordedOnce(t *testing.T) {
	d := startDaemon(t, "")
	for range 2 {
		r, err := ask(d, "echo", "hi")
		if err != nil {
			t.Fatal(err)
		}
		if m := show(d, r.ID); states(m) != "queued running done" {
			t.Errorf("got %q", states(m))
		}
	}
}

func TestQueuedMessagesOutliveTheDaemon(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	var ids, want []string
	for i := range 5 {
		msg := "echo:" + strings.Repeat("x", i*40_000) + fmt.Sprint(i)
		if i == 0 {
			msg = "slow:100000:50ms"
		} else {
			want = append(want, msg)
		}
		ids = append(ids, submit(d, ipc.Send{Team: "api", Text: msg}).ID)
	}
	eventually(t, "the first message", func() bool { return len(begun(t, ledger)) == 1 })
	if _, err := call[struct{}](d, ipc.MethodStop, ipc.StopParams{Force: true}); err != nil {
		t.Fatal(err)
	}
	d.wg.Wait()
	d.run()
	if m := show(d, ids[0]); m.State != "cancelled" {
		t.Errorf("the running one is %s: %s", m.State, m.Error)
	}
	for i, id := range ids[1:] {
		awaitEnd(d, id)
		if got := answer(d, id); got != strings.TrimPrefix(want[i], "echo:") {
			t.Errorf("answer %d has %d bytes", i, len(got))
		}
	}
	for i, got := range begun(t, ledger)[1:] {
		if !strings.HasPrefix(want[i], got) {
			t.Errorf("place %d: %.30q", i, got)
		}
	}
}

// If the agent has not read a message when the daemon stops, the message is queued again.
func TestMessageThatNoAgentHasTakenOutlivesTheDaemon(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	never, _ := gate(t)
	if _, err := ask(d, "api", "spontaneous:0s:@"+never); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a turn of the agent's own", func() bool {
		return mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0].Works != ""
	})
	st := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	if m := show(d, st.ID); m.State != "queued" {
		t.Errorf("it is %s, with no proof to be had that it is not under way", m.State)
	}
	if _, err := call[struct{}](d, ipc.MethodStop, ipc.StopParams{Force: true}); err != nil {
		t.Fatal(err)
	}
	d.wg.Wait()
	if got := begun(t, ledger); len(got) != 1 {
		t.Fatalf("begun: %q", got)
	}
	d.run()
	if end := awaitEnd(d, st.ID); end.State != "done" || answer(d, st.ID) != "x" {
		t.Errorf("got %+v: %s", end, states(show(d, st.ID)))
	}
}

// If the idle agent for a message must be replaced, that takes time. The sender gets the id
// at once.
func TestMessageWhoseAgentIsReplacedIsAcceptedAtOnce(t *testing.T) {
	dir := t.TempDir()
	gated, open := gate(t)
	open()
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\nargs = [%q]\n", dir, claudetest.Install(t.TempDir()), "--fake-slow-start=@"+gated))
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "CLAUDE.md"), []byte("new"), 0o600), os.Remove(gated)); err != nil {
		t.Fatal(err)
	}
	c := d.client()
	told := make(chan ipc.MessageState, 8)
	c.OnNotify = func(_ string, params json.RawMessage) {
		var s ipc.MessageState
		if json.Unmarshal(params, &s) == nil {
			told <- s
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer open()
	wg.Go(func() { c.Call(context.Background(), ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:y"}, nil) })
	select {
	case s := <-told:
		if s.State != "queued" || s.ID == "" || s.Position != 1 {
			t.Errorf("got %+v", s)
		}
	case <-time.After(patience):
		t.Error("nobody knows its id while the agent is replaced")
	}
}

func TestOneKeyAtOnceIsOneRun(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	ids := make([]string, 100)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			if i%2 == 0 {
				ids[i] = submit(d, ipc.Send{Team: "api", Text: "echo:once", Key: "nightly"}).ID
				return
			}
			r, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:once", Key: "nightly"})
			if err != nil || r.Text != "once" {
				t.Errorf("got %v", err)
			}
			ids[i] = r.ID
		})
	}
	wg.Wait()
	if same := slices.Compact(ids); len(same) != 1 || same[0] == "" {
		t.Errorf("ids: %q", same)
	}
	if got := begun(t, ledger); len(got) != 1 {
		t.Errorf("begun %q", got)
	}
	_, err := call[ipc.MessageState](d, ipc.MethodSubmit, ipc.Send{Team: "api", Text: "echo:other", Key: "nightly"})
	wantCode(t, err, ipc.CodeConflict, "nightly", ids[0])
}

func TestRefusedKeyIsFreeAgain(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api", "queue_limit = 1")
	d := startDaemon(t, toml)
	gated, open := gate(t)
	submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	eventually(t, "the first turn", func() bool { return len(begun(t, ledger)) == 1 })
	submit(d, ipc.Send{Team: "api", Text: "echo:1"})
	last := ipc.Send{Team: "api", Text: "echo:2", Key: "k"}
	for range 2 {
		_, err := call[ipc.MessageState](d, ipc.MethodSubmit, last)
		wantCode(t, err, ipc.CodeFull, "queue")
	}
	open()
	eventually(t, "room", func() bool { _, err := call[ipc.MessageState](d, ipc.MethodSubmit, last); return err == nil })
}

func TestMessageWhoseTimeIsOverNeverRuns(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	long := submit(d, ipc.Send{Team: "api", Text: "hang"})
	_, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "echo:late", TTL: 50})
	wantCode(t, err, ipc.CodeExpired, "api")
	mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: long.ID})
	awaitEnd(d, long.ID)
	if r, err := ask(d, "api", "echo:after"); err != nil || r.Text != "after" {
		t.Fatalf("got %v", err)
	}
	if got := begun(t, ledger); slices.Contains(got, "echo:late") {
		t.Errorf("begun: %q", got)
	}
	list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.MessageQuery{States: []string{"expired"}})
	if len(list.Messages) != 1 || list.Messages[0].Deadline == nil {
		t.Fatalf("expired: %+v", list.Messages)
	}
	_, err = call[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: list.Messages[0].ID})
	wantCode(t, err, ipc.CodeExpired)
}

func TestBusyConversationRefusesOnRequest(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	if _, err := call[ipc.MessageState](d, ipc.MethodSubmit, ipc.Send{Team: "api", Text: "hang", IfBusy: "fail"}); err != nil {
		t.Fatalf("an idle one: %v", err)
	}
	_, err := call[ipc.MessageState](d, ipc.MethodSubmit, ipc.Send{Team: "api", Text: "echo:x", IfBusy: "fail"})
	wantCode(t, err, ipc.CodeFull, "busy")
}

func TestCancelOfAMessageThatWaitsIsOnRecordAtOnce(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	long := submit(d, ipc.Send{Team: "api", Text: "hang"})
	waits := submit(d, ipc.Send{Team: "api", Text: "echo:never"})
	if st := mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: waits.ID}); st.State != "cancelled" {
		t.Errorf("got %+v", st)
	}
	if m := show(d, waits.ID); states(m) != "queued cancelled" {
		t.Errorf("got %q", states(m))
	}
	eventually(t, "the turn", func() bool { return len(begun(t, ledger)) == 1 })
	if st := mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: long.ID}); st.State != "interrupting" {
		t.Errorf("got %+v", st)
	}
	awaitEnd(d, long.ID)
	if m := show(d, long.ID); states(m) != "queued running cancelled" || m.Outcome != "interrupted" {
		t.Errorf("got %q, %+v", states(m), m)
	}
	_, err := call[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: long.ID})
	wantCode(t, err, ipc.CodeNotFound, long.ID)
	if got := begun(t, ledger); len(got) != 1 {
		t.Errorf("begun: %q", got)
	}
}

func TestResultOfAMessageThatRunsIsRefused(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	st := submit(d, ipc.Send{Team: "api", Text: "hang"})
	_, err := call[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: st.ID})
	wantCode(t, err, ipc.CodeFull, st.ID)
	for _, method := range []string{ipc.MethodResult, ipc.MethodShow} {
		_, err := call[ipc.Reply](d, method, ipc.MessageRef{ID: "nosuch"})
		wantCode(t, err, ipc.CodeNotFound, "nosuch")
	}
	_, err = call[ipc.MessageState](d, ipc.MethodWait, ipc.Wait{IDs: []string{st.ID, "nosuch"}})
	wantCode(t, err, ipc.CodeNotFound, "nosuch")
}

func TestListIsFilteredAndPaged(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	var want []string
	for i := range 7 {
		team := []string{"api", "echo"}[i%2]
		r, err := ask(d, team, "echo:x")
		if err != nil {
			t.Fatal(err)
		}
		if team == "api" {
			want = append(want, r.ID)
		}
	}
	slices.Reverse(want)
	var got []string
	page := ipc.MessageQuery{Team: "api", Limit: 3}
	for more := true; more; {
		list := mustCall[ipc.MessageList](d, ipc.MethodMessages, page)
		for _, m := range list.Messages {
			got = append(got, m.ID)
		}
		more, page.Before = list.More, got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := call[ipc.MessageList](d, ipc.MethodMessages, ipc.MessageQuery{States: []string{"lost"}})
	wantCode(t, err, ipc.CodeUsage, "lost", "queued")
}
