//go:build !linux

package main

import "golang.org/x/sys/unix"

// fileSystem returns how many bytes are free for this user at dir. The kind of file
// system is unknown here.
func fileSystem(dir string) (free int64, kind string, remote bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, "", false, err
	}
	return int64(s.Bavail) * int64(s.Bsize), "", false, nil
}
