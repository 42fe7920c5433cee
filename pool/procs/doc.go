// Package procs handles the processes of agents. It tells which process a number
// means, finds and ends what lives below an agent or was started by it, and waits for
// children without taking anybody's exit status. It knows nothing of what an agent
// says.
//
// A process is an [ID]: its number and its start time, since numbers are used again.
// Every signal goes through a pidfd after a check of the start time. A [Tree] is what
// has been seen below one agent; the variable EnvProcess in the environment
// attributes a process whose parent is gone. A [Reaper] adopts such processes and has
// one goroutine, which its Close waits for. Without /proc, on systems other than
// Linux, the tree is unknown, and the agent's process group stands for it.
package procs
