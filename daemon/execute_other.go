//go:build !linux

package daemon

import (
	"context"
	"errors"
	"os/exec"
)

// canReplace says whether execute works on this system.
const canReplace = false

type candidate struct{ path string }

func openCandidate(string) (*candidate, error) { return nil, errors.ErrUnsupported }

func (c *candidate) close()       {}
func (c *candidate) check() error { return errors.ErrUnsupported }

func (c *candidate) command(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, c.path) }

func takeName() {}

func execute(*candidate, []string, *Handoff) error { return errors.ErrUnsupported }
