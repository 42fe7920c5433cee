package claude

// reserveLocked keeps room ahead of a turn under way: what it writes before its
// result must not take the room of that. The caller must hold p.mu.
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

// freeLocked gives back what nobody needs any more. Kept are a result that may
// not be on record, the first block of the turn under way and the last state
// line: a later daemon judges by them; and what a stream has yet to read. A hole ends
// before the newline of the last line in it: what follows is a line of its own. The
// caller must hold p.mu.
func (p *Process) freeLocked() {
	switch t := p.current.open(); {
	case p.current.turn == nil && !p.current.resultPending:
		if to := p.unreadLocked(min(p.marks.read, p.marks.stateAt)) / block * block; to-p.spool.free >= block {
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

// unreadLocked is to, or where the slowest stream stands, but not further back
// than maxLag. The caller must hold p.mu.
func (p *Process) unreadLocked(to int64) int64 {
	for s := range p.marks.streams {
		to = min(to, max(s.off.Load(), p.marks.read-maxLag))
	}
	return to
}
