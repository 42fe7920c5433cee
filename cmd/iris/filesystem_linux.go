package main

import "golang.org/x/sys/unix"

// fileSystem says how many bytes are free for us where dir is, what kind of file
// system that is, empty when it is an unusual one, and whether it is one of
// another machine.
func fileSystem(dir string) (free int64, kind string, remote bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, "", false, err
	}
	kind, remote = filesystemKind(int64(uint32(s.Type)))
	return int64(s.Bavail) * int64(s.Bsize), kind, remote, nil
}

// filesystemKind names the kinds that are seen most, by the kernel's number of them. What
// is behind FUSE may be here or elsewhere.
func filesystemKind(number int64) (kind string, remote bool) {
	switch number {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", false
	case unix.XFS_SUPER_MAGIC:
		return "xfs", false
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", false
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs", false
	case 0x2fc12fc1:
		return "zfs", false
	case unix.TMPFS_MAGIC:
		return "tmpfs", false
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", false
	case unix.FUSE_SUPER_MAGIC:
		return "fuse", false
	case unix.NFS_SUPER_MAGIC:
		return "nfs", true
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "smb", true
	case unix.V9FS_MAGIC:
		return "9p", true
	case unix.CEPH_SUPER_MAGIC:
		return "ceph", true
	case unix.AFS_FS_MAGIC, unix.AFS_SUPER_MAGIC:
		return "afs", true
	}
	return "", false
}
