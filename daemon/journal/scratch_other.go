//go:build !linux

package journal

import "os"

// scratch returns an empty file that has no name any more.
func scratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "journal.scratch.")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

// renameNew gives a file another name that nothing has yet.
func renameNew(from, to string) error { return relink(from, to) }
