package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"iris/config/sys"
)

// maxFile is the size limit of a file, in bytes.
const maxFile = 1 << 20

// readTrusted reads a regular file that belongs to this user or root and that nobody
// else may write (or, with secret, read). It never blocks, unlike opening a pipe.
func readTrusted(path string, secret bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, sys.Cause(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, sys.Cause(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if err := checkTrust(path, fi, secret); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, sys.Cause(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, nil
}

// checkTrust says why the file or directory fi cannot be trusted. Others may write to
// a directory with the sticky bit: they cannot replace our files in it.
func checkTrust(path string, fi fs.FileInfo, secret bool) error {
	mode := fi.Mode()
	switch uid := sys.Owner(fi); {
	case uid != os.Geteuid() && uid != 0:
		return fmt.Errorf("belongs to uid %d, not to you (uid %d); iris reads only what you or root own", uid, os.Geteuid())
	case secret && mode.Perm()&0o077 != 0:
		return fmt.Errorf("others may read it (mode %04o); run: chmod 600 %s", mode.Perm(), ShellQuote(path))
	case othersWrite(path, fi) && (!mode.IsDir() || mode&fs.ModeSticky == 0):
		return fmt.Errorf("others may write to it (mode %04o); run: chmod go-w %s", mode.Perm(), ShellQuote(path))
	}
	return nil
}

// ShellQuote returns s as one word for a shell, in quotes if it needs any.
func ShellQuote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
