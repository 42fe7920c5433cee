package claude

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"iris/config/sys"
)

// Unkeepable says why Claude Code, whose directory is config, cannot write the
// transcript at path, or a new one of the directory dir if path is empty, and names the
// file that is in the way. It returns empty texts if nothing seems to be in the
// way. least is the free space that the disk must have, in bytes.
func Unkeepable(config, dir, path string, least int64) (at, why string) {
	if path == "" {
		path = filepath.Join(config, "projects", projectName(dir))
	}
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir() && !strings.HasSuffix(path, ".jsonl"):
			return path, path + " is a file"
		case err == nil:
			if why = unwritable(path, info); why == "" {
				why = fullDisk(path, least)
			}
			return path, why
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR):
			return path, fmt.Sprintf("%s cannot be read: %v", path, sys.Cause(err))
		case path == filepath.Dir(path):
			return path, ""
		}
	}
}

// projectName is the name of the directory of a project's transcripts.
func projectName(dir string) string {
	dir = realPath(dir)
	name := make([]byte, 0, len(dir))
	for _, u := range utf16.Encode([]rune(dir)) {
		if u < 128 && (u >= '0' && u <= '9' || u >= 'A' && u <= 'Z' || u >= 'a' && u <= 'z') {
			name = append(name, byte(u))
		} else {
			name = append(name, '-')
		}
	}
	return string(name)
}

// unwritable says why this user cannot write a file, or into a directory.
func unwritable(path string, info fs.FileInfo) string {
	how := uint32(unix.W_OK)
	if info.IsDir() {
		how |= unix.X_OK
	}
	err := unix.Faccessat(unix.AT_FDCWD, path, how, unix.AT_EACCESS)
	switch uid := sys.Owner(info); {
	case err == nil:
		return ""
	case errors.Is(err, unix.EROFS):
		return path + " is on a read-only file system"
	case uid >= 0 && uid != os.Geteuid():
		return fmt.Sprintf("%s belongs to uid %d, not to you", path, uid)
	case errors.Is(err, unix.EACCES):
		return fmt.Sprintf("%s cannot be written (mode %04o)", path, info.Mode().Perm())
	}
	return fmt.Sprintf("%s cannot be written: %v", path, err)
}

// fullDisk says that less than least bytes are free for this user at path; empty if
// that is not so, or not known.
func fullDisk(path string, least int64) string {
	if free, err := sys.FreeSpace(path); err == nil && free < least {
		return fmt.Sprintf("the disk of %s is full: %d KB are free", path, free>>10)
	}
	return ""
}
