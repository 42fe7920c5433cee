package main

import "golang.org/x/sys/unix"

// fileSystem returns how many bytes are free for this user at dir, the kind of its
// file system, empty if unusual, and whether that is remote.
func fileSystem(dir string) (free int64, kind string, remote bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, "", false, err
	}
	k := fileSystemKinds[uint32(s.Type)]
	return int64(s.Bavail) * int64(s.Bsize), k.name, k.remote, nil
}

// A fileSystemKind is the name of a file system, and whether it is remote.
type fileSystemKind struct {
	name   string
	remote bool
}

// fileSystemKinds are the common ones, by the kernel's number. FUSE may be local or
// remote.
var fileSystemKinds = map[uint32]fileSystemKind{
	unix.EXT4_SUPER_MAGIC:      {"ext4", false},
	unix.XFS_SUPER_MAGIC:       {"xfs", false},
	unix.BTRFS_SUPER_MAGIC:     {"btrfs", false},
	unix.F2FS_SUPER_MAGIC:      {"f2fs", false},
	0x2fc12fc1:                 {"zfs", false},
	unix.TMPFS_MAGIC:           {"tmpfs", false},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", false},
	unix.FUSE_SUPER_MAGIC:      {"fuse", false},
	unix.NFS_SUPER_MAGIC:       {"nfs", true},
	unix.SMB_SUPER_MAGIC:       {"smb", true},
	unix.SMB2_SUPER_MAGIC:      {"smb", true},
	unix.CIFS_SUPER_MAGIC:      {"smb", true},
	unix.V9FS_MAGIC:            {"9p", true},
	unix.CEPH_SUPER_MAGIC:      {"ceph", true},
	unix.AFS_FS_MAGIC:          {"afs", true},
	unix.AFS_SUPER_MAGIC:       {"afs", true},
}
