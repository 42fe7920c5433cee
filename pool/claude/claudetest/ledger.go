package claudetest

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Entry is one line of a ledger: an event that a fake saw, on disk before the fake
// went on. The kinds are
//
//	S  a process has started
//	B  a message has begun: the model would be called now
//	E  a message is about to end by the agent's own word; Text is success, error or interrupted
//	W  and that has been written, so that whoever reads its output can know
//	X  a process leaves by itself; Text is its exit status
//	V  VIOLATION: a promise is broken; Text says which: two live processes on one session, or too many
type Entry struct {
	Kind    string
	UUID    string // of the message, or of this line
	PID     int
	Session string
	Process string // $IRIS_PROCESS
	Text    string // of the message (its first 100 bytes), or as the kind says
}

// ledger is the file that a fake keeps. A nil ledger does nothing.
type ledger struct {
	file    *os.File
	session string
	process string
	mu      sync.Mutex // one line at a time
}

// openLedger opens the ledger and claims the session and a place among the
// living. Claims are locks on single bytes of two files beside the ledger; they
// last as long as the process and leave nothing to clean up.
func openLedger(path string, max int, session string) *ledger {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(fmt.Sprintf("claudetest: %v", err))
	}
	l := &ledger{file: file, session: session, process: os.Getenv("IRIS_PROCESS")}
	if !lockByte(path+".sessions", sessionByte(session)) {
		l.write("V", "-", "session is held by another process")
	}
	lockByte(path+".living", int64(os.Getpid()))
	if n := Living(path); max > 0 && n > max {
		l.write("V", "-", fmt.Sprintf("%d processes live, %d allowed", n, max))
	}
	return l
}

// write appends one line and syncs it.
func (l *ledger) write(kind, uuid, text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.file, "%s %s %d %s %s %q\n", kind, orDash(uuid), os.Getpid(), orDash(l.session), orDash(l.process), text)
	if err := l.file.Sync(); err != nil {
		panic(fmt.Sprintf("claudetest: %v", err))
	}
}

// Living counts the fakes of a ledger that are alive. It only asks: two that
// count at once do not see each other's questions.
func Living(path string) int {
	f, err := os.Open(path + ".living")
	if err != nil {
		return 0
	}
	defer f.Close()
	return countLocks(f, 1, 1<<30)
}

func sessionByte(session string) int64 {
	h := fnv.New64a()
	io.WriteString(h, session)
	return int64(h.Sum64() >> 2)
}

// ReadLedger reads a ledger; a missing one is empty. A line that a kill cut short is
// left out.
func ReadLedger(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []Entry
	for sc := bufio.NewScanner(f); ; {
		if !sc.Scan() {
			return entries, sc.Err()
		}
		fields := strings.SplitN(sc.Text(), " ", 6)
		if len(fields) != 6 {
			continue
		}
		pid, err := strconv.Atoi(fields[2])
		text, err2 := strconv.Unquote(fields[5])
		if err == nil && err2 == nil {
			entries = append(entries, Entry{fields[0], fields[1], pid, fields[3], fields[4], text})
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Join(strings.Fields(s), "_")
}
