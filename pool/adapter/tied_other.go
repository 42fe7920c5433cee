//go:build !linux

package adapter

import "syscall"

// tied has a program be the leader of a process group.
func tied() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
