//go:build !linux

package daemon

import "errors"

// canReplace says that execute works here.
const canReplace = false

func execute(string, []string, *Handover) error { return errors.ErrUnsupported }
