package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is one process of the run. A number is used again, a number and a
// start time are not.
type process struct {
	pid   int
	start string
	args  []string
	mark  string // IRIS_PROCESS: which agent it is, or belongs to
}

// isDaemon says whether it is a daemon. A client that is about to start one has
// other arguments.
func (p process) isDaemon() bool {
	return len(p.args) > 1 && filepath.Base(p.args[0]) == "iris" && p.args[1] == "daemon"
}

func (p process) isAgent() bool { return p.mark != "" }

// team is that of an agent, by its directory; empty when it is gone.
func (p process) team() string {
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid))
	if err != nil {
		return ""
	}
	return filepath.Base(dir)
}

func (p process) String() string {
	return fmt.Sprintf("process %d (%s, agent %q)", p.pid, strings.Join(p.args, " "), p.mark)
}

// processes lists those of this run: they have its directory for a home. A
// zombie has no environment.
func (h *home) processes() []process {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var all []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := h.look(pid); ok {
			all = append(all, p)
		}
	}
	return all
}

// look returns what a process id stands for now, if that is of this run.
func (h *home) look(pid int) (process, bool) {
	environ := procFile(pid, "environ")
	if !bytes.Contains(append([]byte{0}, environ...), []byte("\x00HOME="+h.dir+"\x00")) {
		return process{}, false
	}
	p := process{pid: pid, start: startTime(pid)}
	for kv := range strings.SplitSeq(string(environ), "\x00") {
		if mark, ok := strings.CutPrefix(kv, "IRIS_PROCESS="); ok {
			p.mark = mark
		}
	}
	p.args = strings.Split(strings.TrimSuffix(string(procFile(pid, "cmdline")), "\x00"), "\x00")
	return p, p.start != ""
}

func procFile(pid int, name string) []byte {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil
	}
	return data
}

// startTime is empty for a process that is gone, also when nobody has yet asked
// how it ended.
func startTime(pid int) string {
	_, rest, ok := strings.Cut(string(procFile(pid, "stat")), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[19]
}

func (p process) alive() bool { return startTime(p.pid) == p.start }

// target is a process that may be signalled at once, and no other that may have
// its number by then.
type target struct {
	process
	handle *os.Process // nil when it is gone
}

// aim looks up a process of the run.
func (h *home) aim(p process) target {
	handle, err := os.FindProcess(p.pid) // from here on the number is not used again
	if err != nil {
		return target{process: p}
	}
	if now, ok := h.look(p.pid); !ok || now.start != p.start {
		handle.Release()
		return target{process: p}
	}
	return target{p, handle}
}

// signal reports whether the process was there.
func (t target) signal(s syscall.Signal) bool { return t.handle != nil && t.handle.Signal(s) == nil }

func (t target) release() {
	if t.handle != nil {
		t.handle.Release()
	}
}

// kill sends SIGKILL to a process of the run.
func (h *home) kill(p process) bool {
	t := h.aim(p)
	defer t.release()
	return t.signal(syscall.SIGKILL)
}
