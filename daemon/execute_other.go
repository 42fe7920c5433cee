//go:build !linux

package daemon

import "errors"

// canReplace says whether execute works on this system.
const canReplace = false

func execute(string, []string, *Handoff) error { return errors.ErrUnsupported }
