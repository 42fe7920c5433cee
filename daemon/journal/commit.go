package journal

import (
	"fmt"
	"os"
	"runtime/debug"
)

// maxGroup limits a transaction, so that the first caller of a long queue does not
// wait for the last.
const maxGroup = 256

// change is one caller's part of a transaction. run checks before it changes
// anything; if it fails after a change, its error is a halfway. It may run more than
// once.
type change struct {
	run  func(*txn) error
	err  error
	done chan struct{}
}

// update commits a change and returns when it is on disk, or refused. If nobody is
// committing, the caller commits by itself, and leaves later changes to the
// committer: so a single caller need not be woken.
func (j *Journal) update(run func(*txn) error) error {
	c := &change{run: run, done: make(chan struct{})}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.waiting = append(j.waiting, c)
	alone := !j.busy
	if alone {
		j.busy = true
		j.wg.Add(1)
	}
	j.mu.Unlock()
	if alone {
		j.commit(j.take())
		j.handOver()
		j.wg.Done()
	}
	<-c.done
	return c.err
}

// handOver leaves the waiting changes to the committer, unless Close has begun.
func (j *Journal) handOver() {
	j.mu.Lock()
	ending := j.closed
	switch {
	case len(j.waiting) == 0:
		j.busy, ending = false, false
	case !ending:
		j.wake <- struct{}{} // never blocks: only one caller commits at a time
	}
	j.mu.Unlock()
	if ending {
		j.commitWaiting()
	}
}

// commitAll is the committer, until Close.
func (j *Journal) commitAll() {
	for range j.wake {
		j.commitWaiting()
	}
}

// commitWaiting commits the waiting changes; those that arrive during one commit go
// into the next.
func (j *Journal) commitWaiting() {
	for group := j.next(); len(group) > 0; group = j.next() {
		j.commit(group)
	}
}

// next returns the next group; nil ends the commits.
func (j *Journal) next() []*change {
	j.mu.Lock()
	defer j.mu.Unlock()
	group := j.takeLocked()
	j.busy = len(group) > 0
	return group
}

func (j *Journal) take() []*change {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.takeLocked()
}

func (j *Journal) takeLocked() []*change {
	n := min(len(j.waiting), maxGroup)
	group := j.waiting[:n:n]
	j.waiting = j.waiting[n:]
	if len(j.waiting) == 0 {
		j.waiting = nil
	}
	return group
}

// commit answers every change of the group, after the commit or after the journal has
// stopped.
func (j *Journal) commit(group []*change) {
	for len(group) > 0 {
		bad, err := j.attempt(group)
		if err == nil && bad >= 0 {
			close(group[bad].done)
			group = append(group[:bad:bad], group[bad+1:]...)
			continue
		}
		for _, c := range group {
			if err != nil { // a refusal may rest on a change that was not committed
				c.err = err
			}
			close(c.done)
		}
		return
	}
}

// attempt runs a group in one transaction. bad is the change that failed halfway, so
// that the transaction was rolled back; -1 for none. An error means that the journal
// has stopped.
func (j *Journal) attempt(group []*change) (bad int, err error) {
	j.life.RLock()
	defer j.life.RUnlock()
	if s := j.stopped.Load(); s != nil {
		return -1, s
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer j.rescue(&err)
	btx, err := j.db.Begin(true)
	if err != nil {
		return -1, j.stop(err)
	}
	tx := &txn{Tx: btx}
	if changed := j.changed.Load(); changed != nil {
		tx.changed = *changed
	}
	wanted := false
	for i, c := range group {
		c.err = c.run(tx)
		if _, ok := c.err.(halfway); ok {
			return i, tx.Rollback()
		}
		wanted = wanted || c.err == nil
	}
	if !wanted {
		return -1, tx.Rollback()
	}
	if err := j.present(); err != nil {
		tx.Rollback()
		return -1, j.stop(err)
	}
	keepList(btx)
	if err := tx.Commit(); err != nil {
		return -1, j.stop(err)
	}
	return -1, nil
}

// present checks that the file is still at its path.
func (j *Journal) present() error {
	if err := j.publish(); err != nil {
		return err
	}
	now, err := os.Stat(j.path)
	if err != nil {
		return err
	}
	if !os.SameFile(j.file, now) {
		return fmt.Errorf("%s was replaced while iris used it", j.path)
	}
	return nil
}

// stop makes err the result of every later call.
func (j *Journal) stop(err error) error {
	s := &StoppedError{Path: j.path, Full: noRoom(err), Err: err}
	j.stopped.CompareAndSwap(nil, s)
	return j.stopped.Load()
}

// rescue turns a panic of bbolt at a broken structure, or a fault in the mapped file,
// into an error. Locks inside bbolt may stay held, so the journal stops and is not
// closed in the usual way.
func (j *Journal) rescue(err *error) {
	p := recover()
	if p == nil {
		return
	}
	j.wrecked.Store(true)
	*err = j.stop(&DamageError{Path: j.path, What: fmt.Sprint(p)})
}

// view runs f in a read transaction. f must be short: a writer that must remap the
// file waits for it.
func (j *Journal) view(f func(*txn) error) (err error) {
	j.life.RLock()
	defer j.life.RUnlock()
	if s := j.stopped.Load(); s != nil && !j.over {
		return s
	}
	if j.db == nil {
		return ErrClosed
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer j.rescue(&err)
	return j.db.View(wrapped(f))
}

// viewMany is view for an f that reads many records, which need not stay in memory.
func (j *Journal) viewMany(f func(*txn) error) error {
	return j.view(func(tx *txn) error {
		defer forget(tx)
		return f(tx)
	})
}

// viewWhole is viewMany for an f that reads everything. Compact does not lock the others
// out to wait for it.
func (j *Journal) viewWhole(f func(*txn) error) error {
	j.whole.Lock()
	defer j.whole.Unlock()
	return j.viewMany(f)
}

// Retry reopens a journal that stopped because of a full disk, and tries a write. It
// returns nil if the journal serves again, and otherwise why it does not. A journal
// that stopped for any other reason stays stopped: the data of a failed fsync may be
// lost, although reading shows it.
func (j *Journal) Retry() error {
	j.life.Lock()
	defer j.life.Unlock()
	s := j.stopped.Load()
	if j.over {
		return ErrClosed
	}
	if s == nil {
		return nil
	}
	if !s.Full || j.wrecked.Load() {
		return s
	}
	if j.db != nil { // else the last try could not open it
		if err := j.db.Close(); err != nil {
			return j.fail(err)
		}
	}
	if err := j.open(); err != nil {
		return j.fail(err)
	}
	if err := j.probe(); err != nil {
		return j.fail(err)
	}
	j.stopped.Store(nil)
	return nil
}

// probe writes a transaction that changes nothing.
func (j *Journal) probe() (err error) {
	defer j.rescue(&err)
	return j.db.Update(wrapped(func(tx *txn) error {
		c, err := getCounts(tx)
		if err != nil {
			return err
		}
		return c.put(tx)
	}))
}

// fail replaces the reason why the journal stopped.
func (j *Journal) fail(err error) error {
	s := &StoppedError{Path: j.path, Full: noRoom(err), Err: err}
	j.stopped.Store(s)
	return s
}
