package procs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hz is USER_HZ, the unit of start times. It is the same on every architecture of Go.
const hz = 100

// stat is the content of /proc/<pid>/stat.
type stat struct {
	ID
	ppid, sid int
	state     byte
}

// gone reports whether the process has ended; a zombie has.
func (s stat) gone() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return stat{}, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(string(f[i])); return v }
	start, _ := strconv.ParseUint(string(f[19]), 10, 64)
	return stat{ID: ID{pid, start}, state: f[0][0], ppid: n(1), sid: n(3)}, true
}

// Alive reports whether this very process still runs.
func (p ID) Alive() bool {
	s, ok := readStat(p.PID)
	return ok && s.Start == p.Start && !s.gone()
}

// children returns the pids of the children of all threads of a process.
func children(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []int
	for _, t := range tasks {
		b, _ := os.ReadFile(filepath.Join(dir, t.Name(), "children"))
		for f := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// descendants returns the processes below a process.
func descendants(pid int) []stat {
	var out []stat
	queue := children(pid)
	for len(queue) > 0 {
		s, ok := readStat(queue[0])
		queue = queue[1:]
		if !ok {
			continue
		}
		if !s.gone() {
			out = append(out, s)
		}
		queue = append(queue, children(s.PID)...)
	}
	return out
}

// Collect adds the processes that are now below p.
func (t Tree) Collect(p ID) {
	below := descendants(p.PID)
	if !p.Alive() {
		return // the number may belong to another process
	}
	for _, s := range below {
		t.procs[s.ID] = true
		if s.sid == s.PID {
			t.sessions[s.sid] = true
		}
	}
}

// heldByTool reports whether a process without a parent still writes to the file of
// an ended tool of the agent. Such a process was put into the background and did not
// make itself a daemon: a daemon leads its own session or writes elsewhere.
func (t Tree) heldByTool(s stat) bool {
	if s.sid == s.PID || t.conversation == "" {
		return false
	}
	for _, fd := range []string{"1", "2"} {
		to, err := os.Readlink("/proc/" + strconv.Itoa(s.PID) + "/fd/" + fd)
		if err == nil && strings.Contains(to, t.conversation) {
			return true
		}
	}
	return false
}

// remains returns the processes of the tree that still live, and all their
// descendants. Processes without a parent belong to it if they have the mark and are
// in one of the sessions, younger than the tree, or held by a tool.
func (t Tree) remains(id string, r *Reaper) []ID {
	for _, s := range reparented(r) {
		ours := t.sessions[s.sid] || t.young(s.ID) || t.heldByTool(s)
		if ours && !t.procs[s.ID] && !s.gone() && id != "" && Mark(s.PID) == id {
			t.procs[s.ID] = true
		}
	}
	for p := range maps.Clone(t.procs) {
		if p.Alive() {
			t.Collect(p)
		}
	}
	var out []ID
	for p := range t.procs {
		if p.Alive() {
			out = append(out, p)
		}
	}
	return out
}

// Kill ends the remaining processes, until none is left.
func (t Tree) Kill(id string, r *Reaper) {
	for range 20 {
		left := t.remains(id, r)
		if len(left) == 0 {
			return
		}
		for _, p := range left {
			p.Signal(syscall.SIGKILL)
		}
		for _, p := range left {
			p.wait(time.Second)
		}
	}
}

// killSession ends the processes of a session, within some two seconds.
func killSession(sid int) {
	for range 20 {
		left := slices.DeleteFunc(processes(), func(s stat) bool { return s.sid != sid || s.gone() })
		if len(left) == 0 {
			return
		}
		for _, s := range left {
			s.Signal(syscall.SIGKILL)
		}
		left[0].wait(100 * time.Millisecond)
	}
}

// reparented returns the processes that may have lost their parent: our children that
// we did not start, if orphans come to us, or else all processes.
func reparented(r *Reaper) []stat {
	if r == nil {
		return processes()
	}
	var out []stat
	for _, pid := range children(os.Getpid()) {
		if r.ours(pid) {
			continue
		}
		if s, ok := readStat(pid); ok {
			out = append(out, s)
		}
	}
	return out
}

// processes returns every visible process.
func processes() []stat {
	dirs, _ := os.ReadDir("/proc")
	var out []stat
	for _, d := range dirs {
		if pid, err := strconv.Atoi(d.Name()); err == nil {
			if s, ok := readStat(pid); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// open returns a handle that stays with this process even if its number is used
// again.
func (p ID) open() (int, error) {
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return -1, err
	}
	if s, ok := readStat(p.PID); !ok || s.Start != p.Start {
		unix.Close(fd)
		return -1, unix.ESRCH
	}
	return fd, nil
}

// Signal signals this process, never a later one with the same number.
func (p ID) Signal(sig syscall.Signal) error {
	fd, err := p.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// wait waits until the process has ended, at most for d.
func (p ID) wait(d time.Duration) {
	fd, err := p.open()
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(d.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Identify returns the ID of a process that is known to live.
func Identify(pid int) ID {
	s, _ := readStat(pid)
	return ID{pid, s.Start}
}

// WritingTo returns the session leader whose standard output is that file; the zero ID if
// there is none.
func WritingTo(path string) ID {
	file, err := os.Stat(path)
	if err != nil {
		return ID{}
	}
	for _, s := range processes() {
		out, err := os.Stat(fmt.Sprintf("/proc/%d/fd/1", s.PID))
		if err == nil && s.sid == s.PID && os.SameFile(file, out) {
			return s.ID
		}
	}
	return ID{}
}

// Latest stands for the youngest process that there is now: its pid, and the time in
// the unit of start times.
func Latest() ID {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	p := ID{Start: uint64(t.Sec)*hz + uint64(t.Nsec)*hz/1e9}
	b, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); len(f) > 0 {
		p.PID, _ = strconv.Atoi(f[len(f)-1])
	}
	return p
}

// BootID identifies the current boot of the machine; empty if unknown.
func BootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// TreeMemory is the proportional set size of a process and all its descendants.
func TreeMemory(pid int) int64 {
	sum := Memory(pid)
	for _, s := range descendants(pid) {
		sum += Memory(s.PID)
	}
	return sum
}

// Memory is the memory of one process, in bytes: its proportional set size, or its
// resident size if the system does not tell the former.
func Memory(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err == nil {
		if n, ok := kilobytes(b, "\nPss:"); ok {
			return n
		}
	}
	b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	n, _ := kilobytes(b, "\nVmRSS:")
	return n
}

func kilobytes(b []byte, key string) (int64, bool) {
	_, rest, ok := strings.Cut(string(b), key)
	if !ok {
		return 0, false
	}
	var n int64
	_, err := fmt.Sscan(rest, &n)
	return n << 10, err == nil
}
