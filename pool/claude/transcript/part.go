package transcript

import "time"

// A Part selects records of a transcript: all of them, or those of one turn.
type Part struct {
	Since, Until *time.Time // of the turn; nil for no bound
	last         time.Time  // of the records taken
	skip         time.Time  // records up to it were taken from another file
	over         bool       // the next records belong to a later turn
}

// Takes reports whether a record is wanted. A record without a time belongs to the
// record before it. A turn ends where the next one begins: its last records may be
// later than its end on record.
func (p *Part) Takes(r *Record) bool {
	at := r.At
	if at.IsZero() {
		at = p.last
	}
	if p.Until != nil && r.Prompt() && at.After(*p.Until) {
		p.over = true
	}
	// Claude Code cuts its times to milliseconds; the turn before may have ended in
	// the same millisecond.
	early := p.Since != nil && (at.Before(p.Since.Truncate(time.Millisecond)) || p.last.IsZero() && !r.Prompt() && at.Before(*p.Since))
	if p.over || early || !p.skip.IsZero() && !at.After(p.skip) {
		return false
	}
	p.last = at
	return true
}

// Again is called when the file was replaced: records already taken are not taken
// again.
func (p *Part) Again() { p.skip, p.over = p.last, false }
