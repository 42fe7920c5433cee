package transcript

import "time"

// A Part is what is wanted of a transcript: all of it, or one turn.
type Part struct {
	Since, Until *time.Time // of the turn; nil for no bound
	last         time.Time  // of the records taken
	skip         time.Time  // those up to it have been taken from another file
	over         bool       // what comes is of a later turn
}

// Takes reports whether a record is wanted. Records without a time belong to
// the one before. A turn ends where the next one begins: its last records may be
// dated after its end was on record here.
func (p *Part) Takes(r *Record) bool {
	at := r.At
	if at.IsZero() {
		at = p.last
	}
	if p.Until != nil && r.Prompt() && at.After(*p.Until) {
		p.over = true
	}
	// Claude Code cuts its times to milliseconds; the turn before may have ended in
	// the same one.
	early := p.Since != nil && (at.Before(p.Since.Truncate(time.Millisecond)) || p.last.IsZero() && !r.Prompt() && at.Before(*p.Since))
	if p.over || early || !p.skip.IsZero() && !at.After(p.skip) {
		return false
	}
	p.last = at
	return true
}

// Again is called when the file has been replaced: what was taken of the old one
// is not taken again.
func (p *Part) Again() { p.skip, p.over = p.last, false }
