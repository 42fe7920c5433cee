package journal

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// The error says what a person can do.
func TestStoppedErrorSaysWhatToDo(t *testing.T) {
	j := &Journal{path: "/state/journal"}
	for _, c := range []struct {
		op   string
		err  error
		want string
		full bool
	}{
		{"write", syscall.ENOSPC, "make room on its disk", true},
		{"write", syscall.EDQUOT, "make room on its disk", true},
		{"write", syscall.EFBIG, "make room on its disk", true},
		{"open", syscall.EFBIG, "restart iris", false},
		{"open", syscall.ENOSPC, "make room on its disk", true},
		{"mkdir", syscall.EDQUOT, "make room on its disk", true},
		{"open", syscall.EMFILE, "until files can be opened again", true},
		{"open", syscall.ENFILE, "until files can be opened again", true},
		{"write", syscall.EIO, "restart iris", false},
		{"sync", syscall.ENOSPC, "restart iris", false},
	} {
		err := &fs.PathError{Op: c.op, Path: j.path, Err: c.err}
		got, ok := errors.AsType[*StoppedError](j.fail(err))
		if !ok || got.Full != c.full || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v: full %v, %v", c.op, c.err, got.Full, got)
		}
	}
	lost := &StoppedError{Path: j.path, Err: &DamageError{Path: "/state/bodies/x", What: "it is cut"}}
	if got := lost.Error(); !strings.HasPrefix(got, "/state/bodies/x is damaged") {
		t.Errorf("of damage: %s", got)
	}
}
