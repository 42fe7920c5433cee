package claude

import "syscall"

// session makes the program the leader of a session of its own, which is continued when
// the daemon dies.
func session() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGCONT}
}

// mayFreeze says that a stopped process does not stay so when the daemon dies.
const mayFreeze = true
