package main

import (
	"fmt"
	"strings"
)

// report is what came out: figures, and every broken promise.
type report struct {
	deeds
	fates
	faults
	problems []string
}

// deeds are what the driver and its persons did.
type deeds struct {
	kills, recoveryKills, agentKills, terms, left, replaced int
	disk                                                    string // how it was made full
	bounds, full, starved, still                            int    // and the hard days: see hard.go
	wanted, resolved, held, stopped                         int    // of persons: sent again, resolved, held, stopped agents
	budgets                                                 int    // that were changed
	limits, opened                                          int    // of accounts, and how often a person asked to open one
}

// fates are what became of the messages.
type fates struct {
	atKill  int // turns that ran when a daemon was killed or left, as it had said a moment before
	settled int // messages that a later daemon settled from the agents' output
	back    int // or put back, since their turn had not begun
	unpaid  int // messages that a budget did not allow
	putOff  int // turns that hit a limit, whose message was queued again

	accepted, recorded, begun, refused                       int
	done, failed, cancelled, expired, unknown, hung, retried int
}

// faults count the broken promises, by their kind.
type faults struct {
	lost, notEnded, twice, keyTwice, early, wrong, moved, outOf int
	noProof, afterEnd, unexplained, breaches, shared, orphans   int
	strays, late, unheld, unlimited, overspent, wrongSums       int
}

func (r *report) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// broken counts a broken promise and says which.
func (r *report) broken(count *int, format string, args ...any) {
	*count++
	r.problem(format, args...)
}

// summary is the figures, in one line.
func (r *report) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kills %d, in recovery %d, of agents %d, SIGTERM %d, turns left %d, programs replaced %d; ", r.kills, r.recoveryKills, r.agentKills, r.terms, r.left, r.replaced)
	fmt.Fprintf(&b, "bounds changed %d, disk full by %s %d, without descriptors %d, stood still %d; ", r.bounds, r.disk, r.full, r.starved, r.still)
	fmt.Fprintf(&b, "agents stopped %d, sessions held %d, sent again by a person %d, resolved %d; ", r.stopped, r.held, r.wanted, r.resolved)
	fmt.Fprintf(&b, "accounts limited %d, opened by a person %d, messages put off %d; ", r.limits, r.opened, r.putOff)
	fmt.Fprintf(&b, "budgets changed %d, messages not allowed by one %d; ", r.budgets, r.unpaid)
	fmt.Fprintf(&b, "running at a kill %d, settled later %d, put back %d; ", r.atKill, r.settled, r.back)
	fmt.Fprintf(&b, "accepted %d, on record %d, turns %d, done %d, failed %d, cancelled %d, expired %d, unknown %d, hung %d, sent again %d, refused %d; ",
		r.accepted, r.recorded, r.begun, r.done, r.failed, r.cancelled, r.expired, r.unknown, r.hung, r.retried, r.refused)
	for _, c := range []struct {
		what string
		n    int
	}{
		{"lost", r.lost}, {"not ended", r.notEnded}, {"started twice", r.twice}, {"key used twice", r.keyTwice},
		{"begun without a record", r.early}, {"wrong answers", r.wrong}, {"ends without proof", r.noProof},
		{"unknown without a kill", r.unexplained}, {"ran after its end", r.afterEnd}, {"ends changed", r.moved},
		{"out of order", r.outOf}, {"bound breaches", r.breaches}, {"conversations shared", r.shared},
		{"orphans", r.orphans}, {"files left", r.strays}, {"deadlines moved", r.late}, {"ran while held", r.unheld}, {"ran while limited", r.unlimited},
		{"ran over a budget", r.overspent}, {"wrong sums", r.wrongSums},
	} {
		fmt.Fprintf(&b, "%s %d, ", c.what, c.n)
	}
	return strings.TrimSuffix(b.String(), ", ")
}
