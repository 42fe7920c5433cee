package daemon

import (
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

// TestUnknownMessageRunsAgainThoughItsDaemonDiedBefore is about a daemon that
// recorded that a message is unknown, and was killed before it sent it again.
func TestUnknownMessageRunsAgainThoughItsDaemonDiedBefore(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	d.stop()
	id := leaveUnknown(t, d.paths.Journal, "echo:owed")
	for range 2 { // and once only
		d.run()
		list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.List{Team: "api"})
		if len(list.Messages) != 2 || list.Messages[0].RetryOf != id || list.Messages[1].State != "unknown" {
			t.Fatalf("on record: %+v", list.Messages)
		}
		if end := awaitEnd(d, list.Messages[0].ID); end.State != "done" {
			t.Errorf("the second run: %+v", end)
		}
		if got := begun(t, ledger); len(got) != 1 {
			t.Errorf("begun: %q", got)
		}
		d.stop()
	}
	d.run()
}

// leaveUnknown records a message whose agent has gone without a word, and
// returns its id.
func leaveUnknown(t *testing.T, path, text string) string {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	now := time.Now()
	n := journal.New{ID: new(ids).next(now), Team: "api", Body: []byte(text), At: now, Options: journal.Options{OnUnknown: "retry"}}
	if _, err := j.AcceptAndDispatch(n, journal.Attempt{Process: "gone-1", At: now}); err != nil {
		t.Fatal(err)
	}
	e := journal.End{State: journal.Unknown, Result: &journal.Result{Code: ipc.CodeUnknown, Error: "gone"}, At: now}
	if _, err := j.End(n.ID, e); err != nil {
		t.Fatal(err)
	}
	return n.ID
}
