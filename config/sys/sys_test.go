package sys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

func TestErrorsInOtherWords(t *testing.T) {
	_, err := os.Open("/nowhere/at all")
	if got := fmt.Errorf("file: %w", Cause(err)).Error(); got != "file: no such file or directory" {
		t.Errorf("got %q", got)
	}
	if other := errors.New("x"); Cause(other) != other {
		t.Error("another error is not itself")
	}
	err = fmt.Errorf("gone%w", Silent(fs.ErrNotExist))
	if err.Error() != "gone" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLockIsOfOneOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	one, two := open(), open()
	if Locked(two) {
		t.Error("locked by nobody")
	}
	two.Close() // with the shared lock of the look
	two = open()
	if got, err := TryLock(one); !got || err != nil {
		t.Fatalf("got %v, %v", got, err)
	}
	if got, err := TryLock(two); got || err != nil || !Locked(two) {
		t.Errorf("got %v, %v of a lock that is taken", got, err)
	}
	one.Close()
	if got, err := TryLock(two); !got || err != nil {
		t.Errorf("got %v, %v of a lock that was let go", got, err)
	}
	two.Close()
	if got, err := TryLock(two); got || err == nil || Locked(two) {
		t.Errorf("got %v, %v of a closed file", got, err)
	}
}

func TestFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := WriteFile(path, []byte("one"), 0o640, false); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("two"), 0o640, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "one" {
		t.Errorf("got %q, %v", data, err)
	}
	if err := WriteFile(path, []byte("three"), 0o600, true); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if data, _ := os.ReadFile(path); err != nil || string(data) != "three" || info.Mode() != 0o600 {
		t.Errorf("got %q, %v, %v", data, info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := WriteFile("/nowhere/at all", nil, 0o600, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestSteersIsOfControlsAndDirections(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029
		if got := Steers(r); got != want {
			t.Errorf("%U: got %v", r, got)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if !Sleep(ctx, time.Millisecond) || time.Since(begun) != time.Millisecond {
			t.Error("it did not sleep")
		}
		if Sleep(ctx, time.Hour) || time.Since(begun) != time.Second {
			t.Error("it slept on")
		}
	})
}
