package daemon

import (
	"context"
	"time"
)

const (
	pruneFirst = time.Minute // after the start, when the first messages have had their turn
	pruneEvery = 24 * time.Hour
)

// pruneJournal reads the whole journal once, to find damage before somebody
// needs what is damaged, and removes what is older than retention each day.
func (d *Daemon) pruneJournal(ctx context.Context) {
	timer := time.NewTimer(pruneFirst)
	defer timer.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(pruneEvery)
		if first {
			d.checkJournal()
		}
		before := time.Now().Add(-d.config.Load().Retention)
		p, err := d.journal.Prune(before, before)
		if err != nil {
			d.log.Error("journal not pruned", "err", d.journalError(err))
		} else if p.Messages+p.Keys > 0 {
			d.log.Info("journal pruned", "messages", p.Messages, "keys", p.Keys)
		}
		d.tidy.Reset(tidyAfter)
	}
}

// checkJournal reports what is damaged, in the log and by status.
func (d *Daemon) checkJournal() {
	if err := d.journal.Check(); err != nil {
		why := err.Error()
		d.damage.Store(&why)
		d.log.Error("journal is damaged", "err", err)
	}
}
