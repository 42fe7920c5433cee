package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// SettledStamp waits until the last change is older than unchangedFor, but not longer than
// maxWait.
const (
	unchangedFor = 150 * time.Millisecond
	maxWait      = time.Second
)

// Stamp describes the files of the configuration and their directories without
// reading them. If the stamp changes, Load may return another configuration. newest
// is the time of the last change.
func Stamp(p Paths) (stamp string, newest time.Time) {
	files, err := p.files()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		stamp = err.Error()
	}
	dirs := []string{filepath.Dir(p.Config), p.Confd}
	b := []byte(stamp)
	for i, path := range append(dirs, files...) {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			b = fmt.Appendln(b, path, err)
			continue
		}
		if at := time.Unix(st.Ctim.Unix()); at.After(newest) {
			newest = at
		}
		if i < len(dirs) { // their other properties do not matter
			st.Size, st.Ctim = 0, unix.Timespec{}
		}
		b = fmt.Appendln(b, path, st.Dev, st.Ino, st.Mode, st.Uid, st.Size, st.Ctim.Nano())
	}
	return string(b), newest
}

// SettledStamp returns the Stamp of files that nobody is writing: while the last
// change is younger than 150 ms it waits, for about a second at most.
func SettledStamp(p Paths) string {
	for begun := time.Now(); ; {
		stamp, newest := Stamp(p)
		age := time.Since(newest)
		if age >= unchangedFor || age < 0 || time.Since(begun) >= maxWait { // < 0: a clock was set
			return stamp
		}
		time.Sleep(unchangedFor - age)
	}
}
