package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate undoes what this process inherited from its caller: it closes the descriptors
// above 2 except keep, changes to the directory /, handles ignored signals again, sets the
// nice value to 0, and raises the limits on file size, processor time and memory as far as
// the system allows. It must run before the daemon opens a descriptor. The error lists the
// hard limits and the nice value that could not be changed without privilege. It wraps
// errUnusableLimits if no daemon can work with them.
func Isolate(keep ...int) error {
	errs := []error{closeInherited(keep), os.Chdir("/")}
	handleIgnoredSignals()
	if err := resetNice(); err != nil {
		errs = append(errs, fmt.Errorf("nice value inherited from the caller stays: %w", err))
	}
	errs = append(errs, resetStack(), resetOpenFiles())
	for _, l := range limitsToLift {
		if err := l.lift(); err != nil {
			errs = append(errs, fmt.Errorf("limit on %s inherited from the caller stays: %w", l.name, err))
		}
	}
	return errors.Join(errs...)
}

// limit is a resource limit that may be inherited. With a hard value below least the daemon
// or its agents cannot work.
type limit struct {
	name  string
	id    int
	least uint64
}

var limitsToLift = []limit{
	{"file size (ulimit -f)", unix.RLIMIT_FSIZE, 1 << 30},
	{"processor time (ulimit -t)", unix.RLIMIT_CPU, unix.RLIM_INFINITY},
	{"address space (ulimit -v)", unix.RLIMIT_AS, 2 << 30},
	{"data (ulimit -d)", unix.RLIMIT_DATA, 1 << 30},
	{"processes (ulimit -u)", unix.RLIMIT_NPROC, 256},
}

// CheckLimits returns an error if Isolate could not lift the limits of this process far
// enough for a daemon. It changes nothing.
func CheckLimits() error {
	if os.Geteuid() == 0 {
		return nil // it may raise them
	}
	for _, l := range append(slices.Clone(limitsToLift), filesLimit) {
		var r unix.Rlimit
		if err := unix.Getrlimit(l.id, &r); err == nil && r.Max < min(l.least, 1<<31) {
			return fmt.Errorf("limit on %s is %d: %w", l.name, r.Max, errUnusableLimits)
		}
	}
	return nil
}

// stackSize is the soft limit of a login. More would change the layout of memory.
const stackSize = 8 << 20

// resetStack raises the stack limit to the usual value.
func resetStack() error {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &r); err != nil || r.Cur >= stackSize {
		return err
	}
	r.Cur = min(stackSize, r.Max)
	return unix.Setrlimit(unix.RLIMIT_STACK, &r)
}

// openFiles is the limit on open files of the daemon and its agents, unless the hard limit
// is lower: below that of filesLimit they cannot work. More would not help them, and some programs
// take long to close every descriptor that they could have open.
const openFiles = 1 << 16

var filesLimit = limit{"open files (ulimit -n)", unix.RLIMIT_NOFILE, 256}

// resetOpenFiles sets the limit on open files. Go has raised the soft limit for this process
// alone, and would start children with that of the caller.
func resetOpenFiles() error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: openFiles, Max: max(openFiles, r.Max)}) == nil {
		return nil
	}
	r.Cur = r.Max
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
	if err == nil && r.Max < filesLimit.least {
		err = fmt.Errorf("limit on %s inherited from the caller stays: the hard limit is %d: %w", filesLimit.name, r.Max, errUnusableLimits)
	}
	return err
}

// closeInherited closes the descriptors that survived exec. Descriptors that the Go runtime
// opened are close-on-exec and stay open.
func closeInherited(keep []int) error {
	dir, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC)
	}
	defer unix.Close(dir)
	var names []string
	buf := make([]byte, 4096)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd <= 2 || slices.Contains(keep, fd) {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	for _, fd := range keep {
		unix.CloseOnExec(fd)
	}
	return nil
}

// handleIgnoredSignals installs handlers for signals that were ignored at the start: agents
// would inherit an ignored signal.
func handleIgnoredSignals() {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	_, rest, _ := bytes.Cut(status, []byte("\nSigIgn:\t"))
	line, _, _ := strings.Cut(string(rest), "\n")
	mask, _ := strconv.ParseUint(line, 16, 64)
	drop := make(chan os.Signal, 1)
	for sig := syscall.Signal(1); sig < 32; sig++ {
		if mask&(1<<(sig-1)) != 0 {
			signal.Notify(drop, sig)
		}
	}
}

// resetNice sets the nice value of every thread to 0: on Linux each thread has its own, and
// a child inherits that of the thread which started it. A new thread may inherit the old
// value, so it repeats until it finds no new thread.
func resetNice() error {
	done := map[int]bool{}
	for {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		before := len(done)
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || done[tid] {
				continue
			}
			err = unix.Setpriority(unix.PRIO_PROCESS, tid, 0)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			done[tid] = true
		}
		if len(done) == before {
			return nil
		}
	}
}

// lift raises a limit to infinity, or its soft value to the hard value. A hard limit on
// processes is no error if it is at least least: the system itself sets one.
func (l limit) lift() error {
	var r unix.Rlimit
	if err := unix.Getrlimit(l.id, &r); err != nil || r.Cur == unix.RLIM_INFINITY {
		return err
	}
	if unix.Setrlimit(l.id, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}) == nil {
		return nil
	}
	r.Cur = r.Max
	if err := unix.Setrlimit(l.id, &r); err != nil {
		return err
	}
	switch {
	case r.Max == unix.RLIM_INFINITY, l.id == unix.RLIMIT_NPROC && r.Max >= l.least:
		return nil
	case r.Max < l.least:
		return fmt.Errorf("the hard limit is %d: %w", r.Max, errUnusableLimits)
	}
	return fmt.Errorf("the hard limit is %d", r.Max)
}
