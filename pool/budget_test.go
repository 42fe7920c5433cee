package pool

import (
	"errors"
	"testing"
	"time"

	"iris/pool/turn"
)

// budgetTable is a table with a budget for all teams, at noon in a zone.
func budgetTable(zone *time.Location, now time.Time, b Budget) *table {
	return &table{
		now: now, queues: map[Key]*queue{}, slots: map[string]*slot{}, entries: map[string]*entry{}, queued: map[string]int{},
		accounts: map[string]string{}, gates: map[string]*gate{}, quotas: map[string]*quota{}, money: newMoney(zone), starts: 1,
		jitter: func(d time.Duration) time.Duration { return d }, Limits: Limits{MaxProcesses: 9, Budget: b},
		settings: func(string) Settings { return Settings{} },
	}
}

// A turn is likely to cost no more than nine of ten of the last fifty of its team.
func TestLikelyCostIsTheNinetiethPercentile(t *testing.T) {
	tab := budgetTable(time.UTC, time.Now(), Budget{})
	e := &entry{queue: &queue{key: Key{Team: "a"}}}
	if _, known := tab.price(e); known {
		t.Error("it is known before any turn")
	}
	for _, c := range []struct {
		cost, want turn.Cost
	}{{7, 7}, {1, 7}} {
		tab.learnCost("a", c.cost)
		if got, _ := tab.price(e); got != c.want {
			t.Errorf("after %d: %d, want %d", c.cost, got, c.want)
		}
	}
	for i := range 10 {
		tab.learnCost("b", turn.Cost(i+1))
	}
	e.queue.key.Team = "b"
	if got, _ := tab.price(e); got != 9 {
		t.Errorf("of 1 to 10: %d, want 9", got)
	}
	for range learnFrom {
		tab.learnCost("b", 3)
	}
	if got, _ := tab.price(e); got != 3 {
		t.Errorf("after fifty: %d, want 3", got)
	}
	e.queue.key.Team = "never seen"
	if got, known := tab.price(e); got != 3 || !known {
		t.Errorf("of a new team: %d, %v, want that of all teams", got, known)
	}
	e.turn.Variant = &turn.Variant{MaxCost: 2.5}
	if got, _ := tab.price(e); got != turn.Dollars(2.5) {
		t.Errorf("with a limit of its own: %v", got)
	}
}

// A day ends at midnight of its zone, also the day on which the clocks change.
func TestDaysAndMonthsEndInTheZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now        string
		day, month string // when they end
		hours      float64
	}{
		{"2026-03-29T00:30:00+01:00", "2026-03-30T00:00:00+02:00", "2026-04-01T00:00:00+02:00", 22.5},
		{"2026-10-25T00:30:00+02:00", "2026-10-26T00:00:00+01:00", "2026-11-01T00:00:00+01:00", 24.5},
		{"2026-12-31T22:59:59Z", "2027-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00", 1.0 / 3600},
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		tab := budgetTable(berlin, now, Budget{})
		day, month := tab.ends(now, false), tab.ends(now, true)
		if day.Format(time.RFC3339) != c.day || month.Format(time.RFC3339) != c.month || day.Sub(now).Hours() != c.hours {
			t.Errorf("%s: the day ends %v, the month %v, in %v", c.now, day, month, day.Sub(now))
		}
		tab.book("a", now, 5)
		tab.book("a", day, 7)
		l := tab.ledger("a")
		if tab.day(now) == tab.day(day) || l.spent[tab.day(now)] != 5 || l.spent[tab.day(day)] != 7 {
			t.Errorf("%s: spent %v", c.now, l.spent)
		}
		if same := tab.day(now).month() == tab.day(day).month(); same != (c.day != c.month) || same && l.spent[tab.day(now).month()] != 12 {
			t.Errorf("%s: spent %v", c.now, l.spent)
		}
	}
}

// A message that waits for its budget goes on at midnight, also if the clock was set or the
// machine slept: the table looks at the clock each minute.
func TestMessageGoesOnWhenTheDayIsOver(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	tab := budgetTable(time.UTC, now, Budget{Day: 10})
	tab.book("a", now, 9)
	tab.learnCost("a", 5)
	if _, _, err := tab.submit(Turn{ID: "m", Key: Key{Team: "a"}}, false); err != nil {
		t.Fatal(err)
	}
	run := func() {
		for _, more := tab.next(); more; _, more = tab.next() {
		}
	}
	run()
	if len(tab.slots) != 0 || tab.due().Sub(now) > gateLook {
		t.Fatalf("%d agents, it looks again at %v", len(tab.slots), tab.due())
	}
	if on := tab.waitsFor(tab.entries["m"].queue); on == "" || tab.entries["m"].queue.short.Ends != now.Add(12*time.Hour) {
		t.Errorf("it waits for %q until %v", on, tab.entries["m"].queue.short.Ends)
	}
	tab.now = now.Add(13 * time.Hour)
	run()
	if len(tab.slots) != 1 {
		t.Error("it does not go on")
	}
}

// Turns that are likely to cost more than the whole budget still begin, one in each period:
// nothing else shows what they cost now. A message with such a limit of its own fails.
func TestNoEstimateClosesABudgetForEver(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	for _, spent := range []turn.Cost{0, 1} {
		tab := budgetTable(time.UTC, now, Budget{Day: 10})
		tab.settings = func(string) Settings { return Settings{BudgetFail: spent == 0} }
		tab.learnCost("a", 11)
		tab.book("a", now, spent)
		e, _, err := tab.submit(Turn{ID: "m", Key: Key{Team: "a"}}, false)
		if err != nil {
			t.Fatalf("with %v spent: %v", spent, err)
		}
		if waits := e.queue.short != nil; waits != (spent > 0) {
			t.Errorf("with %v spent: it waits for %+v", spent, e.queue.short)
		}
		_, _, err = tab.submit(Turn{ID: "n", Key: Key{Team: "a"}, Variant: &turn.Variant{MaxCost: 11e-9}}, false)
		if _, ok := errors.AsType[*BudgetError](err); !ok {
			t.Errorf("with a limit of its own: %v", err)
		}
	}
}

// Each limit is reported once when four fifths of it are spent, and once when a message is
// not allowed; not what an earlier daemon has reported.
func TestBudgetIsReportedOnce(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	tab := budgetTable(time.UTC, now, Budget{Day: 100, Month: 1000})
	events := func() (all []string) {
		for e, ok := tab.events.after(0); ok; e, ok = tab.events.after(e.Seq) {
			all = append(all, string(e.Type)+" "+e.Key.Team+" "+e.Detail)
		}
		return all
	}
	spend := func(c turn.Cost) {
		tab.book("a", tab.now, c)
		tab.warn("a")
	}
	if spend(79); len(events()) != 0 {
		t.Errorf("too early: %q", events())
	}
	spend(1)
	if spend(10); len(events()) != 1 || events()[0] != "budget-low  the day's budget is nearly spent: $0.00000008 of $0.0000001" {
		t.Errorf("got %q", events())
	}
	tab.learnCost("a", 20)
	for _, id := range []string{"m", "n"} {
		tab.submit(Turn{ID: id, Key: Key{Team: "a", Session: id}}, false)
	}
	n := 0
	for _, e := range events() {
		if e[:12] == "budget-spent" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("got %q", events())
	}
	tab = budgetTable(time.UTC, now, Budget{Day: 100})
	tab.book("a", now, 90)
	tab.money.quiet = true
	tab.warnAll()
	tab.money.quiet = false
	if tab.warn("a"); len(events()) != 0 {
		t.Errorf("reported again: %q", events())
	}
}
