//go:build !linux

package procs

import "time"

// ProcessTree returns nothing: without /proc the processes below an agent are
// unknown.
func ProcessTree([]int, string) []Descendant { return nil }

// EndDaemons ends nothing.
func EndDaemons(string, func(*Descendant) bool, func() []int, time.Duration) []Descendant { return nil }

// Ancestors returns the pid of the process alone.
func Ancestors(pid int) []int { return []int{pid} }

// Mark returns nothing: without /proc the mark cannot be read.
func Mark(int) string { return "" }

// Memory is the memory of one process, in bytes.
func Memory(pid int) int64 { return TreeMemory(pid) }
