package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

func TestReportIsAnEventOfTheRunningTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "5s", func(turn *message) { turn.ID = "m-one" })
		time.Sleep(3 * time.Second) // it starts, and is in the turn
		synctest.Wait()
		if proc, ok := p.Report("p-1", "", pool.ApprovalAsked, "x: Bash"); !ok || proc.Turn != "m-one" || proc.ID != "p-1" || proc.State != pool.Busy {
			t.Errorf("got %+v, %v", proc, ok)
		}
		if _, ok := p.Report("p-9", "", pool.ApprovalAsked, "x: Bash"); ok {
			t.Error("a process that is not there was found")
		}
		c.wait()
		time.Sleep(time.Second)
		p.Report("p-1", "m-one", pool.ApprovalDecided, "x: Bash: allowed")
		var got []pool.Event
		evs, _, _ := p.Events(0)
		for _, e := range evs {
			if e.Type == pool.ApprovalAsked || e.Type == pool.ApprovalDecided {
				got = append(got, e)
			}
		}
		if len(got) != 2 || got[0].Message != "m-one" || got[1].Message != "m-one" || got[0].Key.Team != "a" || got[0].Process != "p-1" ||
			got[0].PID == 0 || got[0].Detail != "x: Bash" || got[1].Time.IsZero() {
			t.Errorf("got %+v", got)
		}
		p.Close()
	})
}
