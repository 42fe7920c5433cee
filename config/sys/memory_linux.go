package sys

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// noCgroupLimit is less than what a cgroup of version 1 has in place of "no limit".
const noCgroupLimit = 1 << 60

// Memory returns the state of the memory now. It reads some small files of /proc and
// /sys, in less than a millisecond.
func Memory() MemoryState { return memoryBelow("/") }

// memoryBelow is Memory with another root of the file system.
func memoryBelow(root string) MemoryState {
	m := MemoryState{Stalled: stalled(filepath.Join(root, "proc/pressure/memory"))}
	info := fields(filepath.Join(root, "proc/meminfo"), ":")
	m.Total, m.Available = info["MemTotal"]<<10, info["MemAvailable"]<<10
	if m.Total == 0 {
		return m
	}
	for _, line := range strings.Split(text(filepath.Join(root, "proc/self/cgroup")), "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, path, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "" && path != "":
			m.limitBy(filepath.Join(root, "sys/fs/cgroup"), path, cgroup2)
		case strings.Contains(","+controllers+",", ",memory,"):
			m.limitBy(filepath.Join(root, "sys/fs/cgroup/memory"), path, cgroup1)
		}
	}
	return m
}

// cgroupFiles names the files of a version of cgroups; inactive is a row of memory.stat.
type cgroupFiles struct{ max, current, inactive string }

var (
	cgroup2 = cgroupFiles{"memory.max", "memory.current", "inactive_file"}
	cgroup1 = cgroupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
)

// limitBy takes the limits of a cgroup and of those above it into account. In a
// container the path may be the one outside, of which only the mount is there.
func (m *MemoryState) limitBy(mount, path string, f cgroupFiles) {
	m.Stalled = max(m.Stalled, stalled(filepath.Join(mount, path, "memory.pressure")))
	for ; ; path = filepath.Dir(path) {
		dir := filepath.Join(mount, path)
		limit, ok := number(filepath.Join(dir, f.max))
		used, known := number(filepath.Join(dir, f.current))
		if ok && known && limit > 0 && limit < noCgroupLimit {
			used -= fields(filepath.Join(dir, "memory.stat"), "")[f.inactive] // the kernel takes it back first
			m.Total = min(m.Total, limit)
			m.Available = min(m.Available, max(0, limit-used))
		}
		if path == filepath.Dir(path) {
			return
		}
	}
}

// stalled returns "some avg10" of a pressure file, -1 if there is none.
func stalled(path string) float64 {
	_, rest, _ := strings.Cut(text(path), "some avg10=")
	avg, _, _ := strings.Cut(rest, " ")
	f, err := strconv.ParseFloat(avg, 64)
	if err != nil || math.IsNaN(f) {
		return -1
	}
	return f
}

// fields reads a file of lines that hold a name, followed by cut, and a number.
func fields(path, cut string) map[string]int64 {
	all := map[string]int64{}
	for line := range strings.Lines(text(path)) {
		if f := strings.Fields(line); len(f) >= 2 {
			all[strings.TrimSuffix(f[0], cut)], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return all
}

func number(path string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text(path)), 10, 64)
	return n, err == nil
}

func text(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}
