//go:build !linux

package journal

import (
	"os"
	"testing"
)

func syncOnce(tb testing.TB, f *os.File, b []byte, n int) {
	if _, err := f.WriteAt(b, int64(n%16)*4096); err != nil {
		tb.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		tb.Fatal(err)
	}
}
