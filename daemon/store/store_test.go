package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

// A sender that was told "not accepted, the disk is full" must be able to rely on it: if the
// message is on disk after all, it is withdrawn as soon as there is space, unless somebody has
// sent it again meanwhile.
func TestMessagesInDoubtAreWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		live := map[string]bool{"resent": true}
		s := opened(t)
		var log bytes.Buffer
		s.Log = messagesTo(&log)
		s.o = Options{
			Go: wg.Go, OnFull: func() {}, IsLive: func(id string) bool { return live[id] },
		}
		full := &journal.StoppedError{Full: true, Err: errors.New("no space left on device")}
		for _, id := range []string{"doubtful", "resent", "ended", "untouched"} {
			if _, err := s.Accept(journal.New{ID: id, Team: "api", Body: []byte("x"), At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"doubtful", "resent", "ended", "unwritten"} {
			if e := s.NotAccepted(id, full); e.Code != ipc.CodeFull {
				t.Errorf("%s: got %v", id, e)
			}
		}
		if s.WaitsFor() == "" {
			t.Error("nothing says what the journal waits for")
		}
		if _, err := s.End("ended", journal.End{State: journal.Failed, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * RetrySpace)
		if why := s.WaitsFor(); why != "" {
			t.Errorf("it still waits: %s", why)
		}
		wg.Wait()
		for id, want := range map[string]journal.State{
			"doubtful": journal.Cancelled, "resent": journal.Queued, "ended": journal.Failed, "untouched": journal.Queued,
		} {
			if m, err := s.Message(id); err != nil || m.State != want {
				t.Errorf("%s is %s, want %s (%v)", id, m.State, want, err)
			}
		}
		if strings.Contains(log.String(), "not withdrawn") {
			t.Errorf("logged %q", &log)
		}
	})
}

// A sender is told whether it may send its message again without a second turn.
func TestNotAcceptedSaysWhetherAnybodyKnows(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   int
		reason string
		ends   bool // the daemon
	}{
		{&journal.ConflictError{Key: "k", ID: "m"}, ipc.CodeConflict, "conflict", false},
		{journal.ErrGone, ipc.CodeCancelled, "cancelled", false},
		{journal.ErrClosed, ipc.CodeFull, "stopping", false},
		{&journal.StoppedError{Full: true, Err: syscall.ENOSPC}, ipc.CodeFull, "disk-full", false},
		{&journal.StoppedError{Err: syscall.EIO}, ipc.CodeUnknown, "journal", true},
		{errors.New("other"), ipc.CodeFailed, "journal", false},
	} {
		s := opened(t)
		ends := false
		s.o = Options{Go: func(func()) {}, OnFatal: func() { ends = true }}
		if e := s.NotAccepted("m", c.err); e.Code != c.code || e.Data.Reason != c.reason || ends != c.ends {
			t.Errorf("%v: got %+v, the daemon ends: %t", c.err, e, ends)
		}
	}
}

// A change that must not be lost waits for space, unless nobody could see it wait; any other
// error is returned at once.
func TestPersistWaitsForSpaceAlone(t *testing.T) {
	full, other := &journal.StoppedError{Full: true, Err: syscall.ENOSPC}, errors.New("other")
	up, starting := make(chan struct{}), make(chan struct{})
	close(up)
	for name, c := range map[string]struct {
		opened chan struct{}
		errs   []error // of each call
		give   bool    // the caller gives up
		stop   bool    // all waiting is to end
		want   error
		waits  time.Duration
	}{
		"there is space":       {opened: up, errs: []error{nil}},
		"there is space later": {opened: up, errs: []error{full, full, nil}, waits: 2 * RetrySpace},
		"the daemon starts":    {opened: starting, errs: []error{full}, want: full},
		"another error":        {opened: up, errs: []error{other}, want: other},
		"another error later":  {opened: up, errs: []error{full, other}, want: other, waits: RetrySpace},
		"the caller gives up":  {opened: up, errs: []error{full}, give: true, want: full},
		"the daemon stops":     {opened: up, errs: []error{full}, stop: true, want: full},
	} {
		path := filepath.Join(t.TempDir(), "journal")
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			s := New(Options{Opened: c.opened, Go: wg.Go, OnFull: func() {}})
			s.Log = slog.New(slog.DiscardHandler)
			openAt(t, s, path)
			ctx, giveUp := context.WithCancel(t.Context())
			if c.give {
				giveUp()
			}
			if c.stop {
				s.StopWaiting()
			}
			begun, calls := time.Now(), 0
			err := s.PersistUntil(ctx, func() error { calls++; return c.errs[calls-1] })
			if err != c.want || calls != len(c.errs) || time.Since(begun) != c.waits {
				t.Errorf("%s: got %v after %d calls and %v", name, err, calls, time.Since(begun))
			}
			giveUp()
			s.StopWaiting()
			wg.Wait()
		})
	}
}

// Status says why no agent is started, until one is.
func TestWarningOfAgentsThatWait(t *testing.T) {
	s := New(Options{})
	if got := s.AgentWarnings(); got != nil || s.Fatal() != nil {
		t.Errorf("got %q, %v", got, s.Fatal())
	}
	s.AgentsWait("the disk is full")
	if got := s.AgentWarnings(); len(got) != 1 || !strings.Contains(got[0], "the disk is full") || s.WaitsFor() == "" || s.Refuses() != "" {
		t.Errorf("got %q", got)
	}
	s.AgentsWait("")
	if got := s.AgentWarnings(); got != nil || s.WaitsFor() != "" {
		t.Errorf("still %q", got)
	}
}

// A change that is repeated because nobody knows whether it was made is no error if it was, and
// one if somebody else has made another.
func TestChangesMayBeRepeated(t *testing.T) {
	s := opened(t)
	now := time.Now()
	if _, err := s.Accept(journal.New{ID: "m", Team: "api", Body: []byte("x"), At: now}); err != nil {
		t.Fatal(err)
	}
	attempt := func(n int) journal.Attempt {
		return journal.Attempt{Process: "p", At: now.Add(time.Duration(n) * time.Second)}
	}
	retry := func(request string) error {
		_, err := s.Reattempt("m", journal.Change{At: now, Request: request})
		return err
	}
	end := func() error {
		_, err := s.End("m", journal.End{State: journal.Unknown, At: now})
		return err
	}
	for i, step := range []struct {
		do func() error
		ok bool
	}{
		{func() error { return retry("r1") }, false}, // it waits, and for no retry
		{func() error { return s.Dispatch("m", attempt(1)) }, true},
		{func() error { return s.Dispatch("m", attempt(1)) }, true},
		{func() error { return s.Dispatch("m", attempt(2)) }, false},
		{func() error { return s.Requeue("m", "why") }, true},
		{func() error { return s.Requeue("m", "why") }, true},
		{func() error { return s.Dispatch("m", attempt(3)) }, true},
		{end, true},
		{func() error { return s.Requeue("m", "why") }, false},
		{func() error { return retry("r1") }, true},
		{func() error { return retry("r1") }, true},
		{func() error { return retry("r2") }, false},
	} {
		if err := step.do(); (err == nil) != step.ok {
			t.Errorf("step %d: got %v", i+1, err)
		}
	}
}
