package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"iris/ipc"
)

// Ten sessions side by side do not exceed the budget of their team together: of a budget for
// four and a half turns, of which one is spent, three more begin.
func TestRealTurnsStayWithinTheirBudget(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	h := newHouse(t, "iris", "")
	w := &wish{&witness{T: t, house: h}, h.mkdir("project")}
	team := r.team(h, "it", w.dir)
	h.configure(team)
	one := w.sends(0, "x", "echo:x").CostUSD
	if one <= 0 {
		t.Fatalf("a turn costs %v", one)
	}
	h.configure(team + fmt.Sprintf("budget.day = %.6f\n", 4.5*one))
	w.run("daemon", "reload")
	codes := make([]int, 10)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() { codes[i], _, _ = w.send(&truth{}, fmt.Sprint("it@s", i), "slow:2:500ms") })
	}
	all.Wait()
	slices.Sort(codes)
	if want := []int{0, 0, 0, 11, 11, 11, 11, 11, 11, 11}; !slices.Equal(codes, want) {
		t.Errorf("statuses %v, want %v", codes, want)
	}
	var list ipc.BudgetList
	if err := json.Unmarshal([]byte(w.run("usage", "it", "--budget", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	if b := list.Budgets; len(b) != 1 || b[0].SpentUSD > b[0].LimitUSD || b[0].SpentUSD < 3.5*one || b[0].ReservedUSD != 0 {
		t.Errorf("a turn costs %v, and the budgets are %+v", one, b)
	}
}
