//go:build !linux

package procs

import "time"

// ProcessTree knows of none: without /proc nothing is known of the processes below an
// agent.
func ProcessTree([]int, string) []Descendant { return nil }

// EndDaemons finds none to end.
func EndDaemons(string, func(*Descendant) bool, func() []int, time.Duration) []Descendant { return nil }

// Ancestors returns the process alone.
func Ancestors(pid int) []int { return []int{pid} }

// Mark cannot be read.
func Mark(int) string { return "" }

// Memory is what a process takes by itself, in bytes.
func Memory(pid int) int64 { return TreeMemory(pid) }
