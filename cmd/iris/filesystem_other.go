//go:build !linux

package main

import "golang.org/x/sys/unix"

// fileSystem says how many bytes are free for us where dir is. What kind of file
// system it is is not known here.
func fileSystem(dir string) (free int64, kind string, remote bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, "", false, err
	}
	return int64(s.Bavail) * int64(s.Bsize), "", false, nil
}
