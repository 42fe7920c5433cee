//go:build !linux

package claude

import (
	"errors"
	"os"
)

// allocate only checks whether n bytes are free.
func allocate(f *os.File, _, n int64) error { return haveRoom(f, n) }

// punch is not supported here: a spool keeps everything.
func punch(*os.File, int64, int64) error { return errors.ErrUnsupported }
