package store

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/config/sys/systest"
	"iris/daemon/journal"
)

// However long a disk stays full, that ends no daemon, and a change is made once there is
// space.
func TestDiskThatStaysFullIsWaitedFor(t *testing.T) {
	if !systest.Alone(t, nil) {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		s := opened(t)
		opened := make(chan struct{})
		close(opened)
		s.o = Options{Opened: opened, Go: wg.Go, OnFull: func() {}, OnFatal: func() { t.Error("the daemon ends") }}
		if _, err := s.Accept(journal.New{ID: "m", Team: "api", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		fix := systest.LimitFiles(t, 8<<10)
		wg.Go(func() {
			err := s.Persist(func() error {
				_, err := s.End("m", journal.End{State: journal.Cancelled, At: time.Now()})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		time.Sleep(3*RetrySpace + RetrySpace/2)
		_, err := s.Message("m")
		why := s.WaitsFor()
		fix()
		if stopped, ok := errors.AsType[*journal.StoppedError](err); !ok || !stopped.Full || why == "" {
			t.Errorf("while the disk is full: %v, waiting for %q", err, why)
		}
		wg.Wait()
		if m, err := s.Message("m"); err != nil || m.State != journal.Cancelled || s.WaitsFor() != "" {
			t.Errorf("got %s, %v, waiting for %q", m.State, err, s.WaitsFor())
		}
	})
}
