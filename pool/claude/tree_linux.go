package claude

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hz is USER_HZ, the unit of start times, the same on every architecture that
// Go runs on.
const hz = 100

// stat is what /proc/<pid>/stat says of a process.
type stat struct {
	procID
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
	return stat{procID: procID{pid, start}, state: f[0][0], ppid: n(1), sid: n(3)}, true
}

// alive reports whether that very process still runs.
func (p procID) alive() bool {
	s, ok := readStat(p.pid)
	return ok && s.start == p.start && !s.gone()
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

// descendants returns what lives below a process.
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
		queue = append(queue, children(s.pid)...)
	}
	return out
}

// collect adds what lives below p now.
func (t tree) collect(p procID) {
	below := descendants(p.pid)
	if !p.alive() {
		return // the number may be somebody else's
	}
	for _, s := range below {
		t.procs[s.procID] = true
		if s.sid == s.pid {
			t.sessions[s.sid] = true
		}
	}
}

// clings reports whether a stray still writes where a tool of the agent wrote
// that has ended: it was put into the background, and has not made itself a
// daemon, which leads a session of its own or writes elsewhere.
func (t tree) clings(s stat) bool {
	if s.sid == s.pid || t.conversation == "" {
		return false
	}
	for _, fd := range []string{"1", "2"} {
		to, err := os.Readlink("/proc/" + strconv.Itoa(s.pid) + "/fd/" + fd)
		if err == nil && strings.Contains(to, t.conversation) {
			return true
		}
	}
	return false
}

// remains returns what still lives of what was seen, and of the strays that are
// in one of the sessions, younger than the tree or cling to it, as far as they
// carry the mark; and what all those have started.
func (t tree) remains(id string, r *Reaper) []procID {
	for _, s := range strays(r) {
		ours := t.sessions[s.sid] || t.young(s.procID) || t.clings(s)
		if ours && !t.procs[s.procID] && !s.gone() && marked(s.pid, id) {
			t.procs[s.procID] = true
		}
	}
	for p := range maps.Clone(t.procs) {
		if p.alive() {
			t.collect(p)
		}
	}
	var out []procID
	for p := range t.procs {
		if p.alive() {
			out = append(out, p)
		}
	}
	return out
}

// kill ends what remains, until nothing does.
func (t tree) kill(id string, r *Reaper) {
	for range 20 {
		left := t.remains(id, r)
		if len(left) == 0 {
			return
		}
		for _, p := range left {
			p.signal(syscall.SIGKILL)
		}
		for _, p := range left {
			p.wait(time.Second)
		}
	}
}

// strays returns the processes that may have lost their parent: our children
// that we have not started, when they are given to us, else all there are.
func strays(r *Reaper) []stat {
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

// processes returns every process that can be seen.
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

func marked(pid int, id string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && hasMark(b, id)
}

// open returns a handle that stays with this process whatever becomes of its
// number.
func (p procID) open() (int, error) {
	fd, err := unix.PidfdOpen(p.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return -1, err
	}
	if s, ok := readStat(p.pid); !ok || s.start != p.start {
		unix.Close(fd)
		return -1, unix.ESRCH
	}
	return fd, nil
}

// signal signals this process and none that has its number later.
func (p procID) signal(sig syscall.Signal) error {
	fd, err := p.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// wait waits for the end of the process, at most for d.
func (p procID) wait(d time.Duration) {
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

// identify returns the start time of a process that is known to live.
func identify(pid int) procID {
	s, _ := readStat(pid)
	return procID{pid, s.start}
}

// latest stands for the youngest process of now: its pid, and the time in the
// unit of start times.
func latest() procID {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	p := procID{start: uint64(t.Sec)*hz + uint64(t.Nsec)*hz/1e9}
	b, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); len(f) > 0 {
		p.pid, _ = strconv.Atoi(f[len(f)-1])
	}
	return p
}

// BootID tells one boot of the machine from another; empty where that is not
// known.
func BootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// memory is the proportional set size of a process and all below it.
func memory(pid int) int64 {
	sum := pss(pid)
	for _, s := range descendants(pid) {
		sum += pss(s.pid)
	}
	return sum
}

// pss reads one process; where the system does not tell its share, what is
// resident counts.
func pss(pid int) int64 {
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
