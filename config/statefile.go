package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"iris/config/sys"
)

// CheckFiles returns an error if something is in the place of a file of the state directory
// that is not a file of this user: writing would go elsewhere, or wait for ever. Likewise
// with a directory. The error names the remedy.
func (p Paths) CheckFiles() error {
	for _, path := range []string{p.Spool, filepath.Join(p.State, "bodies")} {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if fi, err := os.Stat(path); err != nil || !fi.IsDir() {
			return fmt.Errorf("%s is not a directory; %s", path, moving(path))
		}
	}
	for _, path := range []string{p.Lock, p.Start, p.Log, p.Journal} {
		if err := p.checkFile(path); err != nil {
			return err
		}
	}
	return nil
}

func (p Paths) checkFile(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, sys.Cause(err))
	}
	quoted := ShellQuote(path)
	switch mode := fi.Mode(); {
	case mode&fs.ModeSymlink != 0 && path == p.Journal:
		return fmt.Errorf("%s is a symbolic link; put the file that it leads to in its place, or make %s a link to another directory", path, p.State)
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, where iris keeps a file; run: rm %s", path, quoted)
	case mode.IsDir():
		return fmt.Errorf("%s is a directory, where iris keeps a file; %s", path, moving(path))
	case !mode.IsRegular():
		return fmt.Errorf("%s is not a regular file, where iris keeps one; %s", path, moving(path))
	case sys.Owner(fi) != os.Geteuid():
		return fmt.Errorf("%s belongs to uid %d, not to you (uid %d); %s", path, sys.Owner(fi), os.Geteuid(), moving(path))
	case mode.Perm()&0o600 != 0o600:
		return fmt.Errorf("%s cannot be read and written by you (mode %04o); run: chmod 600 %s", path, mode.Perm(), quoted)
	}
	return nil
}

// moving says how to move something out of the way.
func moving(path string) string { return "run: " + MoveAway(path) }

// MoveAway returns the command that moves a file out of the way.
func MoveAway(path string) string {
	return "mv " + ShellQuote(path) + " " + ShellQuote(path+".old")
}
