package claudetest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/pool/echo"
)

func kinds(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.Kind)
	}
	return b.String()
}

func mustReadLedger(t *testing.T, path string) []Entry {
	t.Helper()
	entries, err := ReadLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestLedgerTellsWhatHappened(t *testing.T) {
	const id = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"
	path := filepath.Join(t.TempDir(), "ledger")
	if got := mustReadLedger(t, path); len(got) != 0 {
		t.Errorf("before the first start: got %v", got)
	}
	a := startFake(t, "--fake-ledger="+path, "--session-id", id).ready()
	a.ask("echo: two words\n")
	a.ask("fail:exec")
	a.eof()
	got := mustReadLedger(t, path)
	if kinds(got) != "SBEWBEWX" {
		t.Fatalf("got %v", got)
	}
	b, e := got[1], got[2]
	if b.Text != "echo: two words\n" || b.Session != id || b.Process != "p1" || b.PID != a.cmd.Process.Pid || e.UUID != b.UUID || e.Text != "success" || got[5].Text != "error" {
		t.Errorf("got %+v", got)
	}
}

func TestLedgerSeesTwoProcessesOnOneSession(t *testing.T) {
	const id = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"
	path := filepath.Join(t.TempDir(), "ledger")
	a := startFake(t, "--fake-ledger="+path, "--session-id", id).ready()
	b := a.again("--fake-ledger="+path, "--session-id", id).ready()
	if got := kinds(mustReadLedger(t, path)); got != "SVS" {
		t.Errorf("got %s, want SVS", got)
	}
	a.cmd.Process.Kill()
	a.exit()
	b.eof()
	a.again("--fake-ledger="+path, "--session-id", id).ready().eof()
	if got := kinds(mustReadLedger(t, path)); got != "SVSXSX" {
		t.Errorf("after both have gone: got %s, want SVSXSX", got)
	}
}

func TestLedgerCountsTheLiving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	most := filepath.Join(t.TempDir(), "most")
	if err := os.WriteFile(most, []byte("4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*agent
	for _, max := range []string{"3", "3", "3", "@" + most, "@" + most} {
		all = append(all, startFake(t, "--fake-ledger="+path, "--fake-max="+max).ready())
	}
	if got := kinds(mustReadLedger(t, path)); got != "SSSSVS" {
		t.Errorf("got %s, want SSSSVS", got)
	}
	all[4].cmd.Process.Kill()
	all[4].exit()
	if n := Living(path); n != 4 {
		t.Errorf("got %d living, want 4", n)
	}
	all[0].cmd.Process.Kill()
	all[0].exit()
	all[1].eof()
	if n := Living(path); n != 2 {
		t.Errorf("got %d living, want 2", n)
	}
}

// An interrupt that comes when the answer is there, and before it is written, still
// interrupts the turn: the ledger says what its reader is told.
func TestLedgerSaysHowATurnEndsThatIsInterruptedLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	setVerbs()
	var out bytes.Buffer
	f := &fake{session: &transcript{path: filepath.Join(t.TempDir(), "t"), uuids: map[string]bool{}}, ledger: openLedger(path, "", "session")}
	f.server = &echo.Server{Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard}
	f.server.Answer = func(ctx context.Context, turn *echo.Turn) echo.Reply {
		defer f.server.Interrupt()
		return f.answer(ctx, turn)
	}
	f.server.Enqueue(echo.Message{Text: "echo:late", UUID: "u1"})
	f.server.Run(t.Context())
	got := mustReadLedger(t, path)
	if kinds(got) != "BE" || got[1].Text != "interrupted" || !strings.Contains(out.String(), "aborted_streaming") {
		t.Errorf("got %+v\n%s", got, out.String())
	}
}
