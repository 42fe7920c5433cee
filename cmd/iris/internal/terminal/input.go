package terminal

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// An Input reads the lines that a person types. The terminal stays in its usual mode.
// It has no goroutine: Line reads on the goroutine of its caller.
type Input struct {
	fd           int
	waker, woken *os.File // the ends of a pipe; a byte in it wakes Line
}

// NewInput returns the input of the terminal f.
func NewInput(f *os.File) (*Input, error) {
	woken, waker, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &Input{fd: int(f.Fd()), waker: waker, woken: woken}, nil
}

// Close closes the input, but not the terminal.
func (in *Input) Close() {
	in.waker.Close()
	in.woken.Close()
}

// Wake makes Line ask again whether its line is still wanted.
func (in *Input) Wake() { in.waker.Write([]byte{0}) }

// Line reads a line. It calls wanted first and after each Wake, and returns its
// error; io.EOF is the end of the input. In the background it does not read: the
// input belongs to the foreground.
func (in *Input) Line(wanted func() error) (string, error) {
	var line []byte
	for {
		if err := wanted(); err != nil {
			return "", err
		}
		typed, err := in.typed()
		if err != nil {
			return "", err
		}
		if line = append(line, typed...); len(line) > 0 && line[len(line)-1] == '\n' {
			return string(line), nil
		}
	}
}

// typed waits for typed input, or for Wake, and returns the input.
func (in *Input) typed() ([]byte, error) {
	fds := []unix.PollFd{{Fd: int32(in.woken.Fd()), Events: unix.POLLIN}, {Fd: int32(in.fd), Events: unix.POLLIN}}
	wait := -1
	if !in.Foreground() {
		fds, wait = fds[:1], 200
	}
	if _, err := unix.Poll(fds, wait); err != nil && !errors.Is(err, unix.EINTR) {
		return nil, err
	}
	if fds[0].Revents != 0 {
		in.woken.Read(make([]byte, 16))
		return nil, nil
	}
	if len(fds) < 2 || fds[1].Revents == 0 || !in.Foreground() {
		return nil, nil
	}
	buf := make([]byte, 4096)
	n, err := unix.Read(in.fd, buf)
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return buf[:n], nil
}

// Foreground reports whether this process may read from the terminal: the system
// would stop a background process that does.
func (in *Input) Foreground() bool {
	group, err := unix.IoctlGetInt(in.fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// Discard drops typed input that was not read.
func (in *Input) Discard() { flushInput(in.fd) }
