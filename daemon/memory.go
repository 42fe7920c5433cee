package daemon

import (
	"iris/config"
	"iris/config/sys"
	"iris/pool"
)

const (
	// stalledTooLong is the percentage of the last ten seconds in which some process
	// waited for memory, from which on idle agents go.
	stalledTooLong = 10

	// Of the memory, 1/reservePart stays free, but at most maxReserve.
	reservePart = 20
	maxReserve  = 1 << 30

	// The sizes of agents as long as none of their team has been measured: a Claude Code
	// that is alone needs 230 MB, of which it shares 90 with others.
	claudeSize = 250_000_000
	echoSize   = 20_000_000
)

// memoryLimit is the most memory that all agents may use; 0 for no limit.
func memoryLimit(cfg *config.Config) int64 {
	return cfg.MaxMemoryTotal.Of(sys.Memory().Total)
}

// memory returns what the machine has left for agents.
func memory() pool.Memory { return memoryLeft(sys.Memory()) }

// memoryLeft says what a state of the machine means for the pool. Where the kernel does
// not tell how long processes wait for memory, they do when the reserve is used.
func memoryLeft(m sys.MemoryState) pool.Memory {
	if m.Total == 0 {
		return pool.Memory{Spare: pool.UnknownSpare}
	}
	spare := m.Available - min(m.Total/reservePart, maxReserve)
	return pool.Memory{Spare: spare, Pressure: m.Stalled >= stalledTooLong || m.Stalled < 0 && spare < 0}
}

// usualSize is the size of an agent of a team that nobody has measured yet.
func usualSize(t *config.Team) int64 {
	if t != nil && t.Agent == "echo" {
		return echoSize
	}
	return claudeSize
}
