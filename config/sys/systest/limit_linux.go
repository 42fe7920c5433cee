package systest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Limit sets a limit of this process, such as unix.RLIMIT_NOFILE, and returns what sets the
// old one again. Call it under Alone.
func Limit(t testing.TB, what int, to uint64) (fix func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(what, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = to
	if err := unix.Setrlimit(what, &low); err != nil {
		t.Fatal(err)
	}
	return func() { unix.Setrlimit(what, &old) }
}

// LimitFiles bounds the size of a file: a write beyond it fails like one on a full disk.
func LimitFiles(t testing.TB, size uint64) (fix func()) {
	t.Helper()
	return Limit(t, unix.RLIMIT_FSIZE, size)
}
