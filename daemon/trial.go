package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/daemon/journal"
)

// trialTimeout bounds the trial of a program; trialDir begins the name of its directory.
const (
	trialTimeout = 10 * time.Second
	trialDir     = "trial."
)

// trialWord begins the line in which a program lists the formats of a Handoff that it
// reads.
const trialWord = "handover"

// Try is the trial of a program that is to replace a running daemon. It reads the daemon's
// configuration and a copy of its journal in dir, checks the files that it would open, and
// writes which formats of a Handoff it reads.
func Try(o Options, dir string, stdout io.Writer) error {
	if _, err := config.Load(o.Paths, o.Overrides...); err != nil {
		return err
	}
	if err := o.Paths.CheckFiles(); err != nil {
		return err
	}
	j, err := journal.Open(filepath.Join(dir, filepath.Base(o.Paths.Journal)))
	if err != nil {
		return err
	}
	defer j.Close()
	if _, err := j.LastID(); err != nil {
		return err
	}
	for _, err := range j.Running() {
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdout, "%s %d\n", trialWord, handoffFormat)
	return err
}

// try runs the trial of another program on a copy of the journal. The error says why the
// program cannot replace this one.
func (d *Daemon) try(ctx context.Context, program *candidate) error {
	dir, err := os.MkdirTemp(d.opts.Paths.State, trialDir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := d.store.Snapshot(filepath.Join(dir, filepath.Base(d.opts.Paths.Journal))); err != nil {
		return d.store.Heed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	said, err := d.runTrial(ctx, program, dir)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("program %s: no answer within %v", program.path, trialTimeout)
	case err != nil:
		return fmt.Errorf("program %s: %w", program.path, err)
	}
	formats := strings.Fields(said)
	if len(formats) == 0 || formats[0] != trialWord || !slices.Contains(formats[1:], strconv.Itoa(handoffFormat)) {
		return fmt.Errorf("program %s does not take over from this one (format %d): it said %q", program.path, handoffFormat, said)
	}
	return nil
}

// runTrial returns the output of the program. If the program fails, the error is the first
// line of its stderr.
func (d *Daemon) runTrial(ctx context.Context, program *candidate, dir string) (string, error) {
	cmd := program.command(ctx)
	cmd.Args = append(slices.Clone(d.opts.Args), "--try", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = trialTimeout / 5 // for its output; long enough for a busy machine
	var out, complaint sys.Head
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := d.agents.Reaper.Run(cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		said, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
		err = errors.New(cmp.Or(strings.TrimPrefix(said, "iris: "), exit.ProcessState.String()))
	}
	return strings.TrimSpace(out.String()), err
}

// cleanTrials removes the directories of trials whose daemon was killed.
func (d *Daemon) cleanTrials() {
	left, _ := filepath.Glob(filepath.Join(d.opts.Paths.State, trialDir+"*"))
	for _, dir := range left {
		os.RemoveAll(dir)
	}
}
