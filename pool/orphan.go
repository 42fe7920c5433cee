package pool

// AddOrphan takes a place for a process of an earlier daemon that still runs its
// turn, and blocks its key until gone is closed. The pool cannot stop it. Call it
// before the first message, so that there is no agent for k yet.
func (p *Pool[A]) AddOrphan(k Key, id string, pid int, gone <-chan struct{}) {
	p.update(func(t *table) {
		if t.closed {
			return
		}
		s := t.addOrphan(k, id, pid)
		p.wg.Go(func() {
			select {
			case <-gone:
				p.update(func(t *table) { t.exited(s, "") })
			case <-p.ctx.Done():
			}
		})
	})
}

// Linger says that an orphan has ended its turn and stays for its background work.
func (p *Pool[A]) Linger(process string) {
	p.update(func(t *table) { t.linger(t.slots[process]) })
}

const orphanWhy = "left over from an earlier daemon"

// addOrphan takes a place for a process of an earlier daemon.
func (t *table) addOrphan(k Key, id string, pid int) *slot {
	s := t.newSlot(k, id)
	s.orphan, s.state, s.pid = true, Stopping, pid
	s.why = orphanWhy
	s.queue.orphans++
	likely, _ := t.price(&entry{queue: s.queue})
	t.commit(s.queue, &s.reserved, likely)
	t.emit(s.event(ProcessFenced, s.why))
	t.reindex(s.queue)
	return s
}

// unreserve ends what is reserved for the turn of an orphan, which is over.
func (t *table) unreserve(s *slot) {
	t.commit(s.queue, &s.reserved, 0)
	t.reconsider(false)
}

// linger records that the turn of an orphan is over.
func (t *table) linger(s *slot) {
	if s == nil || !s.orphan || s.lingers {
		return
	}
	t.unreserve(s)
	s.lingers, s.why = true, orphanWhy+", its turn is over"
	t.emit(s.event(ProcessLingers, ""))
}
