//go:build !linux

package claude

import "time"

// Family knows of none: without /proc nothing is known of the processes below an
// agent.
func Family([]int, string) []Kin { return nil }

// EndDaemons finds none to end.
func EndDaemons(string, func(*Kin) bool, func() []int, time.Duration) []Kin { return nil }

// Ancestors returns the process alone.
func Ancestors(pid int) []int { return []int{pid} }

// Memory is what a process takes by itself, in bytes.
func Memory(pid int) int64 { return memory(pid) }
