package main

import (
	"testing"
	"time"

	"iris/ipc"
)

// Quarters of an hour make the days of a place whose day begins at 18:15.
func TestDaysAreLocal(t *testing.T) {
	zone := time.FixedZone("there", 5*3600+45*60)
	var sums []ipc.UsageSum
	for _, at := range []string{"2026-11-22T18:00:00Z", "2026-11-22T18:15:00Z", "2026-11-23T00:00:00Z", "2026-11-23T18:00:00Z", "2026-11-23T18:15:00Z"} {
		from, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, ipc.UsageSum{From: &from, Messages: 1, Usage: ipc.Usage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4}, CostUSD: 0.5})
	}
	days := byDays(sums, zone)
	if len(days) != 3 {
		t.Fatalf("got %+v", days)
	}
	want := usageView{Day: "2026-11-23", Messages: 3, CostUSD: 1.5, Usage: ipc.Usage{Input: 3, Output: 6, CacheRead: 9, CacheWrite: 12}}
	if got := viewOf(&days[1], zone); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if a, b := viewOf(&days[0], zone), viewOf(&days[2], zone); a.Day != "2026-11-22" || b.Day != "2026-11-24" || a.Messages+b.Messages != 2 {
		t.Errorf("got %+v and %+v", a, b)
	}
}

func TestAmounts(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1.0k", 12_345: "12.3k", 999_949: "999.9k", 999_950: "1.0M", 4_600_000_000: "4.6G",
	} {
		if got := amount(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
