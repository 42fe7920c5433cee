package claudetest

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spawn starts a child of the kind and returns the process id of what stays
// alive:
//
//	session  in a session of its own, as the real program's Bash tool
//	group    in a process group of its own
//	plain    in the agent's group
//	tied     in a session of its own, killed when the agent dies
//	daemon   in a session of its own, and its parent has left
//	hold     as session, holding on to the agent's output
func (f *fake) spawn(kind string, d time.Duration) (*exec.Cmd, int, error) {
	cmd := exec.Command("/proc/self/exe", d.String())
	cmd.Args[0] = childName
	switch kind {
	case "plain":
	case "group":
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	case "tied":
		cmd.SysProcAttr = tied()
	case "hold":
		cmd.Stdout = os.Stdout
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	case "session":
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	case "daemon":
		cmd.Args = append(cmd.Args, "daemon")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.Output()
		return nil, atoi(string(out)), err
	default:
		return nil, 0, fmt.Errorf("no such kind of child: %q", kind)
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	return cmd, cmd.Process.Pid, nil
}

// runChild sleeps for args[0]; with "daemon" a child of its own does.
func runChild(args []string) int {
	if len(args) == 0 {
		return 2
	}
	if len(args) > 1 {
		cmd := exec.Command("/proc/self/exe", args[0])
		cmd.Args[0] = childName
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if cmd.Start() != nil {
			return 1
		}
		fmt.Println(cmd.Process.Pid)
		return 0
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return 2
	}
	time.Sleep(d)
	return 0
}

// openFiles lists the open descriptors and what they are, without opening one.
// The Go runtime's own, on the limits of its cgroup, are left out.
func openFiles() map[string]string {
	out := map[string]string{}
	for fd := range 256 {
		if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && !strings.HasPrefix(target, "/sys/fs/cgroup/") {
			out[strconv.Itoa(fd)] = target
		}
	}
	return out
}

// inherited is what a process gets from its parent.
func inherited() map[string]any {
	pid := os.Getpid()
	sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
	return map[string]any{
		"pid": pid, "ppid": os.Getppid(), "pgid": syscall.Getpgrp(), "sid": int(sid),
		"umask": statusField("Umask"), "ignored": statusField("SigIgn"), "blocked": statusField("SigBlk"),
		"nice": nice(), "limits": limits(),
	}
}

// nice reads the nice value; the system call gives 20 minus it.
func nice() int {
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - n
}

// limits reads the soft and hard limits as text. A child is asked, since Go
// raises the soft limit on open files for itself, and gives a child the old one.
func limits() map[string]string {
	out := map[string]string{}
	data, err := exec.Command("/bin/cat", "/proc/self/limits").Output()
	if err != nil {
		data, _ = os.ReadFile("/proc/self/limits")
	}
	for line := range strings.Lines(string(data)) {
		if len(line) < 68 || strings.HasPrefix(line, "Limit ") {
			continue
		}
		values := strings.Fields(line[26:])
		if len(values) > 1 {
			out[strings.TrimSpace(line[:26])] = values[0] + " " + values[1]
		}
	}
	return out
}

// statusField reads one line of /proc/self/status.
func statusField(name string) string {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
