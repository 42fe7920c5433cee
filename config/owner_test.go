package config

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that the group may write is accepted if the group is the user's private one.
func TestAPrivateGroupMayWrite(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Confd+"/a.toml", "")
	run := p.Home + "/run"
	mustDo(t, os.Chmod(run, 0o775))
	gid := ownGroup(t, run, filepath.Dir(p.Config), p.Confd, p.Confd+"/a.toml")
	mustDo(t, os.Chmod(filepath.Dir(p.Config), 0o775))
	mustDo(t, os.Chmod(p.Confd, 0o2775))
	mustDo(t, os.Chmod(p.Confd+"/a.toml", 0o664))
	me := fmt.Sprintf("me:x:%d:%d::/:/bin/sh\n", os.Geteuid(), gid)
	for _, tt := range []struct {
		name, users, groups string
		private             bool
	}{
		{"alone", "+\n\n" + me, "other:x:1:\nme:x:%d:\n", true},
		{"the only member", me, "me:x:%d:me\n", true},
		{"another name", me, "us:x:%d:\n", false},
		{"another member", me, "me:x:%d:me,you\n", false},
		{"a member alone", me, "me:x:%d:you\n", false},
		{"not the primary group", fmt.Sprintf("me:x:%d:1::/:/bin/sh\n", os.Geteuid()), "me:x:%d:\n", false},
		{"also another's primary group", fmt.Sprintf("you:x:4243:%d::/:/bin/sh\n", gid) + me, "me:x:%d:\n", false},
		{"unknown user", "", "me:x:%d:\n", false},
		{"unknown group", me, "x:x:1%d:\n", false},
	} {
		useAccounts(t, tt.users, fmt.Sprintf(tt.groups, gid))
		if _, err := Load(p); (err == nil) != tt.private {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if got := mustResolve(t, "").Runtime; (got == run) != tt.private {
			t.Errorf("%s: the runtime directory is %s", tt.name, got)
		}
	}
}

// With a private group others still may not write, and nobody else may read a secret.
func TestAPrivateGroupIsNotForOthers(t *testing.T) {
	p := newHome(t)
	env := p.Home + "/env"
	mustWrite(t, p.Config, "")
	mustWrite(t, env, "")
	gid := ownGroup(t, p.Config, env)
	useAccounts(t, fmt.Sprintf("me:x:%d:%d::/:/bin/sh\n", os.Geteuid(), gid), fmt.Sprintf("me:x:%d:\n", gid))
	mustDo(t, os.Chmod(p.Config, 0o666))
	_, err := Load(p)
	wantErr(t, p.Home, err, "~/.config/iris/config.toml: others may write to it (mode 0666); run: chmod go-w ~/.config/iris/config.toml")
	mustDo(t, os.Chmod(env, 0o660))
	_, err = ReadEnvFile(env)
	wantErr(t, p.Home, err, "~/env: others may read it (mode 0660); run: chmod 600 ~/env")

	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range [][3]uint32{{1, 6, 0xffffffff}, {2, 6, 65534}, {4, 6, 0xffffffff}, {16, 6, 0xffffffff}, {32, 4, 0xffffffff}} {
		acl = binary.LittleEndian.AppendUint16(acl, uint16(entry[0]))
		acl = binary.LittleEndian.AppendUint16(acl, uint16(entry[1]))
		acl = binary.LittleEndian.AppendUint32(acl, entry[2])
	}
	if err := unix.Setxattr(p.Config, "system.posix_acl_access", acl, 0); err != nil {
		t.Skip("no access lists: ", err)
	}
	_, err = Load(p)
	wantErr(t, p.Home, err, "~/.config/iris/config.toml: others may write to it (mode 0664); run: chmod go-w ~/.config/iris/config.toml")
}

// ownGroup gives files a group of the user, and returns it. Root's own is never private.
func ownGroup(t *testing.T, files ...string) int {
	gid := os.Getegid()
	if os.Geteuid() == 0 {
		gid = 4242
	}
	for _, file := range files {
		mustDo(t, os.Chown(file, -1, gid))
	}
	return gid
}

// useAccounts makes these the users and groups of the system.
func useAccounts(t *testing.T, users, groups string) {
	t.Helper()
	dir, before, beforeGroups := t.TempDir(), usersFile, groupsFile
	t.Cleanup(func() { usersFile, groupsFile = before, beforeGroups })
	usersFile, groupsFile = dir+"/passwd", dir+"/group"
	mustWrite(t, usersFile, users)
	mustWrite(t, groupsFile, groups)
}
