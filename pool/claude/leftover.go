package claude

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"iris/pool"
)

// Leftover is an agent of an earlier daemon that still lives: it finishes its
// turn, writes the result into its spool and goes.
type Leftover struct {
	Session string
	Process string // the pool's id of it
	Path    string // its spool
	PID     int    // 0 when the record is lost: then it cannot be signalled

	id procID
}

// Leftovers returns the agents whose spools are in that directory and whose
// locks are held. Called before anything is started there.
func Leftovers(spools string) ([]Leftover, error) {
	paths, err := listSpools(spools)
	if err != nil {
		return nil, err
	}
	var out []Leftover
	for _, path := range paths {
		if held(path) {
			out = append(out, leftover(path))
		}
	}
	return out, nil
}

func leftover(path string) Leftover {
	l := Leftover{Path: path}
	l.Session, l.Process = splitName(path)
	if r, err := readRecord(path); err == nil && r.Boot == BootID() {
		l.id = procID{r.PID, r.Start}
		if l.id.alive() {
			l.PID = r.PID
		}
	}
	return l
}

// readRecord returns the record beside a spool.
func readRecord(path string) (record, error) {
	var r record
	b, err := os.ReadFile(path[:len(path)-len(filepath.Ext(path))] + ".json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

// Alive reports whether the agent still lives.
func (l *Leftover) Alive() bool { return held(l.Path) }

// Written is how many bytes the agent has written so far. It grows with every
// sign of progress, whatever becomes of the clock.
func (l *Leftover) Written() int64 {
	info, err := os.Stat(l.Path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Progress is when the agent last wrote anything, by the clock.
func (l *Leftover) Progress() time.Time {
	info, err := os.Stat(l.Path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Wait returns when the agent is gone, or with the cause when ctx ends.
func (l *Leftover) Wait(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for l.Alive() {
		if l.PID != 0 {
			l.id.await(ctx)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// Stop ends the agent and everything below it: SIGTERM, and after grace
// SIGKILL. Without a record it can do nothing and says so.
func (l *Leftover) Stop(grace time.Duration) error {
	if !l.Alive() {
		return nil
	}
	if l.PID == 0 {
		return errors.New("process id not known: no record beside " + l.Path)
	}
	left := newTree(l.PID, latest(), l.Session)
	left.collect(l.id)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	l.id.signal(syscall.SIGTERM)
	if l.Wait(ctx) != nil {
		left.collect(l.id)
		l.id.signal(syscall.SIGKILL)
	}
	left.kill(l.Process, nil)
	ctx, cancel = context.WithTimeout(context.Background(), max(grace, time.Second))
	defer cancel()
	return l.Wait(ctx)
}

// Evidence is what a spool says of a turn whose daemon is gone.
type Evidence struct {
	Result *pool.Result // how the turn ended; nil when the agent has not said so

	// NotBegun says that the turn never began, once the agent is dead and if the
	// system has run since: its message was not written yet; or the agent was idle
	// when it was, and has not written a word since. Claude Code says "running"
	// before it calls the model, and room for that was reserved.
	NotBegun bool
}

// Settle looks for the end of a turn in the spool of a process of an earlier
// daemon; offset is what Process.Spool said when the turn began. A missing
// spool (fs.ErrNotExist) proves nothing.
func Settle(spools, process string, offset int64) (Evidence, error) {
	path, err := findSpool(spools, process)
	if err != nil {
		return Evidence{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Evidence{}, err
	}
	defer f.Close()
	r := settler{untouched: true}
	end, later := int64(1<<62), false
	rec, err := readRecord(path)
	switch {
	case err != nil || rec.Given == nil || *rec.Given == offset:
		r.base = rec.Base
	case *rec.Given < offset:
		return Evidence{NotBegun: true}, nil // whatever was written since is not about it
	default: // a later turn was given to the agent: this one was over by then
		end, later = *rec.Given, true
	}
	if err := r.before(io.NewSectionReader(f, 0, offset)); err != nil {
		return Evidence{}, err
	}
	if err := r.after(io.NewSectionReader(f, offset, end-offset)); err != nil {
		return Evidence{}, err
	}
	if lost := r.account.background(false); r.result != nil && len(r.result.Background) > 0 && len(lost) > 0 {
		r.result.Background = lost
		r.result = r.result.CutOff()
	}
	return Evidence{Result: r.result, NotBegun: r.untouched && !later}, nil
}

func findSpool(spools, process string) (string, error) {
	paths, err := listSpools(spools)
	for _, path := range paths {
		if _, p := splitName(path); p == process {
			return path, nil
		}
	}
	if err == nil {
		err = &fs.PathError{Op: "settle", Path: filepath.Join(spools, "*."+process+".out"), Err: fs.ErrNotExist}
	}
	return "", err
}

// settler reads a spool without a process.
type settler struct {
	base      totals
	account   account
	result    *pool.Result
	untouched bool
	ending    bool // all that the turn before may still lack is its idle line
	lost      lostAsks
}

// before looks for the agent's state when the turn was to begin.
func (s *settler) before(f io.ReaderAt) error {
	r := lineReader{f: f, max: maxLine}
	state := "idle" // no state line is ever written before the first turn
	err := r.all(sink{
		line: func(line []byte) {
			typ, sub, _ := route(line)
			s.account.note(typ, sub, line)
			if typ == "system" && sub == "session_state_changed" {
				state = stateIn(line)
			}
		},
		long: func([]byte, int64) bool { return false },
		over: func([]byte, int64) {},
	})
	s.untouched = state == "idle"
	return err
}

func stateIn(line []byte) string {
	var m struct{ State string }
	decode(line, &m)
	return m.State
}

// after looks for the first result that answers a message, and for any word at
// all.
func (s *settler) after(f io.ReaderAt) error {
	s.ending = !s.untouched
	r := lineReader{f: f, max: maxLine}
	err := r.all(sink{line: s.line, long: s.wanted, over: s.tooLong})
	if rest := r.rest(); err == nil && len(rest) > 0 {
		s.untouched = false
		s.line(rest)
	}
	return err
}

func (s *settler) line(line []byte) {
	typ, sub, ok := route(line)
	if ok && typ == "control_response" || len(line) == 0 {
		return
	}
	// The dispatch is recorded without that line when it is late, but no message
	// is written before it has come.
	s.untouched = s.ending && typ == "system" && sub == "session_state_changed" && stateIn(line) == "idle"
	s.ending = false
	s.account.note(typ, sub, line)
	if typ == "user" {
		s.lost.note(line)
	}
	if typ != "result" || s.result != nil {
		return
	}
	if r, ok := parseResult(line); ok && !r.Origin {
		s.result = r.result(s.base)
		s.account.complete(s.result, r.IsError)
		s.account.leaves = true
		s.lost.explain(s.result, r.Denials)
	} else if ok {
		s.base = r.Totals
	}
}

func (s *settler) wanted(head []byte, _ int64) bool {
	typ, _, _ := route(head)
	if typ == "user" {
		s.account.note(typ, "", head)
	}
	if typ != "control_response" {
		s.untouched, s.ending = false, false
	}
	return typ == "result" && s.result == nil
}

func (s *settler) tooLong(head []byte, _ int64) {
	s.untouched, s.ending = false, false
	if typ, _, _ := route(head); typ == "result" && s.result == nil {
		s.result = overLimit(maxLine)
	}
}

// CleanSpools removes the spools of dead processes, but those that keep says
// are still needed. The directory's lock keeps it off a process that is just
// being started.
func CleanSpools(spools string, keep func(process string) bool) error {
	unlock, err := lockDir(spools)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(spools)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(spools, e.Name())
		out := path[:len(path)-len(filepath.Ext(path))] + ".out"
		_, process := splitName(path)
		if process == "" || held(out) || keep != nil && keep(process) {
			continue
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
