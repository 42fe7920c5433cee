//go:build !linux

package journal

import "os"

// scratch returns an empty file without a name.
func scratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "journal.scratch.")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

// renameNew renames a file to a name that must not exist.
func renameNew(from, to string) error { return relink(from, to) }
