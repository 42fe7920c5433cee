package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// newPty returns both ends of a new terminal.
func newPty() (pty, tty *os.File, err error) {
	if pty, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	name, err := unlockPty(int(pty.Fd()))
	if err == nil {
		tty, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	}
	return pty, tty, err
}

// onTty is the command "terminal" of the scripts: it runs a command that has a terminal,
// /dev/tty, types standard input there and prints on stderr what the terminal shows. The
// ttyin of testscript is not for output: what it has not read when the command ends is lost,
// for the system drops it when the first process of a session ends.
func onTty() {
	pty, tty, err := newPty()
	if err == nil {
		_, err = syscall.Setsid()
	}
	if err == nil {
		err = unix.IoctlSetInt(int(tty.Fd()), unix.TIOCSCTTY, 0)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var typing, ending sync.WaitGroup
	typing.Go(func() { // ends with the process: nobody may read what it types
		io.Copy(pty, os.Stdin)
		pty.Write([]byte{4}) // Ctrl-D
	})
	ending.Go(func() {
		err = cmd.Wait()
		tty.Close() // kept until now: without it the terminal would end before the command opens it
	})
	io.Copy(os.Stderr, pty) // until nobody has the terminal open
	ending.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}
