package daemon

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// settleIn runs AwaitOrphans in the state directory of a daemon that is gone, with the spool of a
// live agent, until hold calls enough.
func settleIn(t *testing.T, hold func(enough func()) (func(), error)) (left int, err error) {
	t.Helper()
	d := startDaemon(t, "")
	d.stop()
	spool, err := os.Create(filepath.Join(d.paths.Spool, "session.process.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	if err := syscall.Flock(int(spool.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	left, err = AwaitOrphans(ctx, AwaitOptions{Paths: d.paths, Hold: func() (func(), error) { return hold(cancel) }})
	if ctx.Err() == nil && left > 0 {
		t.Error("it left before its time was over")
	}
	l, free := acquireNow(d.paths.Lock)
	if free != nil {
		t.Fatalf("the lock is held: %v", free)
	}
	l.release()
	return left, err
}

func TestSettleLooksOnlyWhileNobodyWantsADaemon(t *testing.T) {
	held, looks := false, 0
	left, err := settleIn(t, func(enough func()) (func(), error) {
		held = true
		if looks++; looks == 3 {
			enough()
		}
		return func() { held = false }, nil
	})
	if left != 1 || err != nil || held || looks != 3 {
		t.Errorf("got %d left, %v, held %v after %d looks", left, err, held, looks)
	}
	left, err = settleIn(t, func(func()) (func(), error) { return nil, nil })
	if left != 0 || err != nil {
		t.Errorf("got %d left, %v", left, err)
	}
	left, err = settleIn(t, func(func()) (func(), error) { return nil, os.ErrPermission })
	if left != 0 || err != os.ErrPermission {
		t.Errorf("got %d left, %v", left, err)
	}
}
