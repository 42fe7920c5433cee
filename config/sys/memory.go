package sys

// MemoryState is the memory that the processes of this program may use, and what is left
// of it.
type MemoryState struct {
	Total     int64   // bytes of the machine or of the cgroup, whichever is less; 0 if unknown
	Available int64   // bytes that new processes can get without swapping, of the one that has less
	Stalled   float64 // percent of the last ten seconds in which a process waited for memory; -1 if the kernel does not tell
}
