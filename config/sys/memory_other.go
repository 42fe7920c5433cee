//go:build !linux

package sys

// Memory returns no state: this system does not tell it in files.
func Memory() MemoryState { return MemoryState{Stalled: -1} }
