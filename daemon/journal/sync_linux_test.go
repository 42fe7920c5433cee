package journal

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// syncOnce overwrites a page's worth in place, as bbolt does, and syncs it.
func syncOnce(tb testing.TB, f *os.File, b []byte, n int) {
	if _, err := f.WriteAt(b, int64(n%16)*4096); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		tb.Fatal(err)
	}
}
