//go:build !linux

package claude

import "syscall"

// session makes the program the leader of a session of its own.
func session() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// mayFreeze is false: a stopped process would stay so when the daemon dies.
const mayFreeze = false
