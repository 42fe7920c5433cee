package claude

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/claude/claudetest"
)

func TestWarmTurns(t *testing.T) {
	prog := os.Getenv("IRIS_CLAUDE")
	if prog == "" {
		t.Skip("IRIS_CLAUDE")
	}
	stub := claudetest.NewStub()
	defer stub.Close()
	f, err := NewFollower()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := Options{ID: "p1", Team: "api", Command: prog, Dir: t.TempDir(), Env: stub.Env(t.TempDir()), Spools: filepath.Join(t.TempDir(), "s"),
		SessionID: NewSessionID(), Transcript: true, StartTimeout: 20 * time.Second, Grace: 3 * time.Second, Follower: f}
	p, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"echo:hi", "count", "size:8000000", "/clear", "status:400", "echo:x"} {
		n := 0
		begun := time.Now()
		r, err := p.Send(context.Background(), &pool.Turn{Text: s, Output: func([]byte) { n++ }})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Text) > 200 {
			t.Log(len(r.Text), r.Text == claudetest.Text(len(r.Text)))
			r.Text = ""
		}
		t.Logf("%v %+v lines %d state %s", time.Since(begun), r, n, p.state)
	}
	path, off := p.Spool()
	st, _ := os.Stat(path)
	t.Log(path, off, st.Size(), allocated(st))
	begun := time.Now()
	h, err := p.Check(context.Background(), true)
	t.Log(h, err, time.Since(begun), p.Stale())
	begun = time.Now()
	p.Stop()
	t.Log(time.Since(begun), p.Exit())
	l, _ := os.ReadDir(o.Spools)
	t.Log(l)
	p.Taken()
	l, _ = os.ReadDir(o.Spools)
	t.Log(l)
}
