package claude

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iris/pool/procs"
)

// Orphan is an agent of an earlier daemon that still lives: it finishes its turn,
// writes the result into its spool and exits.
type Orphan struct {
	Session string
	Process string // the pool's id of the agent
	Path    string // its spool
	PID     int    // 0 if not known: then it cannot be signalled

	id     procs.ID
	config string // directory of Claude Code
}

// Orphans returns the agents whose spools are in that directory and locked. Call it
// before starting anything there.
func Orphans(spools string) ([]Orphan, error) {
	paths, err := listSpools(spools)
	if err != nil {
		return nil, err
	}
	var out []Orphan
	for _, path := range paths {
		if lockHeld(path) {
			out = append(out, orphanAt(path))
		}
	}
	return out, nil
}

func orphanAt(path string) Orphan {
	l := Orphan{Path: path}
	l.Session, l.Process = splitName(path)
	if r, err := readRecord(path); err == nil && r.Boot == procs.BootID() {
		l.id, l.config = procs.ID{PID: r.PID, Start: r.Start}, r.Config
	}
	if l.id.PID == 0 || !l.id.Alive() { // the daemon was killed before it had recorded it, or the record is lost
		l.id = procs.WritingTo(path)
	}
	if l.id.PID != 0 && l.id.Alive() {
		l.PID = l.id.PID
	}
	return l
}

// Continue continues an agent that is stopped: its program may have kept the system from it
// when its daemon died.
func (l *Orphan) Continue() {
	if l.PID != 0 {
		l.id.Signal(syscall.SIGCONT)
	}
}

// Alive reports whether the agent still lives.
func (l *Orphan) Alive() bool { return lockHeld(l.Path) }

// Written is the size of the agent's output so far. It grows with every sign of
// progress, whatever the clock does.
func (l *Orphan) Written() int64 {
	info, err := os.Stat(l.Path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Bound gives the middle of a long stderr back to the disk, and reports whether the output
// takes more of the disk than an agent may have: nobody gives that back now.
func (l *Orphan) Bound() (exceeded bool) {
	trimErr(strings.TrimSuffix(l.Path, ".out") + ".err")
	info, err := os.Stat(l.Path)
	if err != nil {
		return false
	}
	begun := int64(0)
	if rec, err := readRecord(l.Path); err == nil && rec.Given != nil {
		begun = max(0, *rec.Given)
	}
	return held(info, begun) > MaxSpool
}

// Progress is when the agent last wrote anything, by the clock.
func (l *Orphan) Progress() time.Time {
	info, err := os.Stat(l.Path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Wait returns when the agent is gone, or with the cause of ctx when ctx ends.
func (l *Orphan) Wait(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for l.Alive() {
		if l.PID != 0 {
			l.id.Await(ctx)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// Stop ends the agent and everything below it: SIGTERM, and after grace SIGKILL.
// If its PID is not known it can only return an error.
func (l *Orphan) Stop(grace time.Duration) error {
	if !l.Alive() {
		return nil
	}
	if l.PID == 0 {
		return errors.New("process id not known: no record beside " + l.Path + ", and no process that writes to it is visible")
	}
	tree := procs.NewTree(l.PID, procs.Latest(), l.Session)
	tree.Collect(l.id)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	l.id.Signal(syscall.SIGTERM)
	if l.Wait(ctx) != nil {
		tree.Collect(l.id)
		l.id.Signal(syscall.SIGKILL)
	}
	tree.Kill(l.Process, nil)
	ctx, cancel = context.WithTimeout(context.Background(), max(grace, time.Second))
	defer cancel()
	err := l.Wait(ctx)
	forgetProcess(l.config, l.id)
	return err
}

// Follow calls call, which must not block, whenever the agent may have written
// something, until stop is called.
func (l *Orphan) Follow(f *Follower, call func()) (stop func()) {
	return f.add(l.Path, call)
}

// AtRest reports whether the agent does nothing for its last message: the result is
// there, or the agent has not begun the message.
func (l *Orphan) AtRest() (bool, error) {
	ev, err := l.last()
	return ev.Result != nil || ev.NotBegun, err
}

// Moved returns the new session of the agent if it changed in its last turn (/clear)
// and the files could not be renamed; else empty.
func (l *Orphan) Moved() string {
	ev, err := l.last()
	if err != nil || ev.Result == nil || ev.Result.SessionID == l.Session {
		return ""
	}
	return ev.Result.SessionID
}

// OwnTurns returns the agent's own turns that ended after its last message and were
// not reported. The agent must be gone.
func (l *Orphan) OwnTurns() ([]OwnTurn, error) {
	ev, err := l.last()
	return ev.Later, err
}

// last returns the evidence in the spool about the agent's last message.
func (l *Orphan) last() (Evidence, error) {
	rec, err := readRecord(l.Path)
	switch {
	case err != nil || rec.Given == nil:
		return Evidence{}, err
	case *rec.Given < 0: // there was no message
		return Evidence{NotBegun: true}, nil
	}
	return ReadOutcome(filepath.Dir(l.Path), l.Process, *rec.Given, rec.UUID, rec.NoWait)
}

// turnWords are in every line that may end a turn, and seldom in others. Inside a
// text their quotation marks would be escaped.
var turnWords = [][]byte{
	[]byte(`"result"`), []byte(`"session_state_changed"`), []byte(`"command_lifecycle"`),
	[]byte(`"task_id"`), []byte(`"background_tasks_changed"`),
}

// longestWord is the length of the longest of the turnWords.
const longestWord = int64(len(`"background_tasks_changed"`))

// A Scan reads the new output of an agent of an earlier daemon, and reports when
// ReadOutcome, which reads everything, may find the end of its turn.
type Scan struct {
	off int64 // start of the first line that was incomplete at the last call
}

// News reports whether a line that may end the turn has been written, or begun, since
// the last call.
func (s *Scan) News(l *Orphan) (news bool, err error) {
	f, err := os.Open(l.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := buffers.Get().(*[chunk]byte)
	defer buffers.Put(buf)
	for at := s.off; ; at += chunk - longestWord {
		n, err := readAt(f, buf[:], at)
		for _, word := range turnWords {
			news = news || bytes.Contains(buf[:n], word)
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			s.off = at + int64(i) + 1
		}
		if err != nil || n < len(buf) {
			return news, err
		}
	}
}
