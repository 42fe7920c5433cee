package claude

// reserveLocked keeps room ahead of a running turn: its output must not take the room
// of its result. The caller must hold p.mu.
func (p *Process) reserveLocked() {
	t := p.current.open()
	if t == nil || p.marks.scanned < t.reserved-reserve/2 {
		return
	}
	t.reserved = p.marks.scanned + reserve
	if err := allocate(p.spool.out, p.marks.scanned, reserve); err != nil {
		p.log.Warn("no room ahead of the turn", "err", err)
		t.cutLocked()
	}
}

// freeLocked gives back the parts of the spool that are not needed any more. It keeps
// a result that may not be on record, the first block of the running turn and the
// last state line, by which a later daemon judges, and what streams may need. A
// hole ends before the newline of its last line: then the next line begins on its
// own. The caller must hold p.mu.
func (p *Process) freeLocked() {
	switch t := p.current.open(); {
	case p.current.turn == nil && !p.current.resultPending:
		if to := (p.unreadLocked(min(p.marks.read, p.marks.stateAt)) - 1) / block * block; to-p.spool.free >= block {
			p.spool.freeTo(to)
		}
	case t != nil:
		to := p.unreadLocked(p.marks.read)
		if p.marks.needed > 0 {
			to = min(to, p.marks.needed)
		}
		if to = (to - 1) / block * block; to-t.freed >= readBatch/2 {
			punch(p.spool.out, t.freed, to-t.freed)
			t.freed = to
		}
	}
}

// unreadLocked returns to, or the end of the last line of the slowest stream if that is
// lower, but not more than maxLag back. A reader that comes back to another stream has
// had the lines that were passed on; it does not know of those that were left out. The
// caller must hold p.mu.
func (p *Process) unreadLocked(to int64) int64 {
	for s := range p.marks.streams {
		to = min(to, max(s.last.Load(), p.marks.read-maxLag))
	}
	return to
}
