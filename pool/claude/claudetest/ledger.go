package claudetest

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Entry is one line of a ledger: an event that a fake saw, on disk before the fake
// went on. The kinds are
//
//	S  a process has started
//	B  a message has begun: the model would be called now
//	E  a message is about to end by the agent's own word, and no interrupt changes it any
//	   more; Text is success, error or interrupted
//	L  a limit ends a message before anything is done; Text is the reset in seconds since
//	   1970, 0 if none is named
//	W  and that has been written, so that a reader of its output can know; not of an
//	   interrupted one
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
// last as long as the process and leave nothing to clean up. most is how many may live: a
// number, "@" and the path of a file that has it, or empty for any.
func openLedger(path, most, session string) *ledger {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(fmt.Sprintf("claudetest: %v", err))
	}
	noLimit()
	l := &ledger{file: file, session: session, process: os.Getenv("IRIS_PROCESS")}
	if !lockByte(path+".sessions", sessionByte(session)) {
		l.write("V", "-", "session is held by another process")
	}
	lockByte(path+".living", int64(os.Getpid()))
	if n, max := Living(path), bound(most); n > max {
		l.write("V", "-", fmt.Sprintf("%d processes live, %d allowed", n, max))
	}
	return l
}

// noLimit lets this process write files of any size that it may: its daemon has perhaps
// lost that for a while, and with it what it starts meanwhile.
func noLimit() {
	var size syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_FSIZE, &size) == nil {
		size.Cur = size.Max
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &size)
	}
}

// bound reads how many fakes may live. A file is read after they are counted: a test that
// raises the number does so before it allows one more.
func bound(most string) int {
	if most == "" {
		return math.MaxInt
	}
	if path, ok := strings.CutPrefix(most, "@"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			panic(fmt.Sprintf("claudetest: %v", err))
		}
		most = strings.TrimSpace(string(data))
	}
	n, err := strconv.Atoi(most)
	if err != nil {
		panic(fmt.Sprintf("claudetest: --fake-max: %v", err))
	}
	return n
}

// write appends one line and syncs it.
func (l *ledger) write(kind, uuid, text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := fmt.Fprintf(l.file, "%s %s %d %s %s %q\n", kind, orDash(uuid), os.Getpid(), orDash(l.session), orDash(l.process), text)
	if err = errors.Join(err, l.file.Sync()); err != nil {
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
