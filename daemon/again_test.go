package daemon

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

// A message that cannot be read may be the one that was sent again: nothing is then.
func TestUnknownMessageIsNotRunAgainBesideADamagedOne(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	d.stop()
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	lost := journal.New{ID: "01m0000000000000", Team: "api", Body: []byte("echo:again"), At: time.Now(), Options: journal.Options{OnUnknown: "retry"}}
	again := journal.New{ID: "01m0000000000001", Team: "api", Body: []byte("echo:again"), At: time.Now(), Options: journal.Options{RetryOf: lost.ID}}
	for _, n := range []journal.New{lost, again} {
		if _, err := j.AcceptAndDispatch(n, journal.Attempt{Process: "gone-1", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := j.End(n.ID, journal.End{State: journal.Unknown, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Resolve(again.ID, journal.End{State: journal.Done, At: time.Now(), By: "a person"}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	file, err := os.ReadFile(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	file = bytes.ReplaceAll(file, []byte(`"retry_of":"`+lost.ID), []byte(`"retry_of":"`+again.ID))
	if err := os.WriteFile(d.paths.Journal, file, 0o600); err != nil {
		t.Fatal(err)
	}
	d.run()
	if list := mustCall[ipc.MessageList](d, ipc.MethodMessages, ipc.List{}); len(list.Messages) != 1 || len(list.Damaged) != 1 {
		t.Errorf("got %+v", list)
	}
	if r, err := ask(d, "api", "echo:on"); err != nil || text(t, r) != "on" {
		t.Error(err)
	}
	if got := begun(t, ledger); !slices.Equal(got, []string{"echo:on"}) {
		t.Errorf("begun: %q", got)
	}
}
