package config

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The files with the users and groups. Tests change them.
var usersFile, groupsFile = "/etc/passwd", "/etc/group"

// othersWrite reports whether anybody but the owner may write to a file or directory.
// The group does not count if it is the owner's private one: where every user has one,
// the umask is mostly 002, and every new file is writable by its group.
func othersWrite(path string, fi fs.FileInfo) bool {
	mode := fi.Mode().Perm()
	if mode&0o002 != 0 {
		return true
	}
	return mode&0o020 != 0 && (hasACL(path) || !privateGroup(fi))
}

// hasACL reports whether the bits of the group stand for an access list too, which may
// name others.
func hasACL(path string) bool {
	n, _ := unix.Getxattr(path, "system.posix_acl_access", nil)
	return n > 0
}

// privateGroup reports whether the group of a file is the private one of this user: it
// has the user's name and is the user's primary group, and nobody else is in it. Users
// and groups that are not in the files of the system do not count, nor does group 0,
// which programs without any user may have.
func privateGroup(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Gid == 0 {
		return false
	}
	gid, uid, user := strconv.Itoa(int(st.Gid)), strconv.Itoa(os.Geteuid()), ""
	for _, u := range accounts(usersFile) { // name, password, uid, gid
		switch {
		case u[2] == uid && u[3] == gid:
			user = u[0]
		case u[3] == gid:
			return false
		}
	}
	for _, g := range accounts(groupsFile) { // name, password, gid, members
		if g[2] == gid {
			return user != "" && g[0] == user && (g[3] == "" || g[3] == user)
		}
	}
	return false
}

// accounts returns the lines of a file of users or groups: those with four fields or more.
func accounts(file string) (lines [][]string) {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) >= 4 {
			lines = append(lines, fields)
		}
	}
	return lines
}
