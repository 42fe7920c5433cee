package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// canReplace says whether execute works on this system.
const canReplace = true

// A candidate is a program that is to replace this one. It is open, so that the file that
// is executed is the file that was tried, whatever is put in its place.
type candidate struct {
	path string
	file *os.File
	stat unix.Stat_t // when it was opened
}

func openCandidate(path string) (*candidate, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", path, err)
	}
	c := &candidate{path: path, file: os.NewFile(uintptr(fd), path)}
	if err := unix.Fstat(fd, &c.stat); err != nil {
		c.close()
		return nil, fmt.Errorf("program %s: %w", path, err)
	}
	return c, nil
}

func (c *candidate) close() { c.file.Close() }

// check returns an error if the file has been written to since it was opened.
func (c *candidate) check() error {
	var now unix.Stat_t
	err := unix.Fstat(int(c.file.Fd()), &now)
	if err == nil && (now.Size != c.stat.Size || now.Mtim != c.stat.Mtim) {
		err = errors.New("it has been written to since its trial")
	}
	if err != nil {
		return fmt.Errorf("program %s: %w", c.path, err)
	}
	return nil
}

// command returns the command that runs the program.
func (c *candidate) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, descriptorPath(firstExtra))
	cmd.ExtraFiles = []*os.File{c.file}
	return cmd
}

// firstExtra is the descriptor of the first of a command's ExtraFiles.
const firstExtra = 3

func descriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// takeName gives this process the name of its program, since execute has made it that of a
// descriptor.
func takeName() { os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0) }

// execute replaces the program of this process and passes on the state and the open
// descriptors. It returns only on an error, and then nothing has changed.
//
// While a descriptor would survive an exec, no child may be forked: the child would keep
// the write end of another agent's stdin for ever.
func execute(program *candidate, args []string, h *Handoff) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("handoff", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	state := os.NewFile(uintptr(fd), "handoff")
	defer state.Close()
	if _, err := state.WriteAt(b, 0); err != nil {
		return err
	}
	args = append(slices.Clone(args), "--takeover-fd", strconv.Itoa(fd))
	signal.Ignore(syscall.SIGHUP) // it would end the new program before that handles it
	for _, s := range h.Ignored {
		signal.Ignore(s)
	}
	open := append(h.Descriptors(), fd, int(program.file.Fd()))

	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	for _, fd := range open {
		if err = keepOnExec(fd); err != nil {
			break
		}
	}
	if err == nil {
		err = syscall.Exec(descriptorPath(int(program.file.Fd())), args, append(os.Environ(), h.environ...))
	}
	for _, fd := range open {
		unix.CloseOnExec(fd)
	}
	return err
}

func keepOnExec(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags&^unix.FD_CLOEXEC)
	}
	return err
}
