package adapter

import "syscall"

// tied has a program be killed with the adapter, and be the leader of a process group.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
