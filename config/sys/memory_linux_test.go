package sys

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

const gib = 1 << 30

// machine writes the files of a machine with 16 GiB, of which 10 are available, and some
// more files.
func machine(t *testing.T, more map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{"proc/meminfo": "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:   10485760 kB\n"}
	maps.Copy(files, more)
	for name, data := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestMemoryIsThatOfTheMachineOrOfTheCgroupThatHasLess(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  MemoryState
	}{
		{"no cgroup", nil, MemoryState{16 * gib, 10 * gib, -1}},
		{"pressure", map[string]string{
			"proc/pressure/memory": "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=1\n",
		}, MemoryState{16 * gib, 10 * gib, 12.5}},
		{"version 2", map[string]string{
			"proc/self/cgroup":                        "0::/user/iris\n",
			"sys/fs/cgroup/user/iris/memory.max":      "4294967296\n",
			"sys/fs/cgroup/user/iris/memory.stat":     "anon 5\ninactive_file 1073741824\n",
			"sys/fs/cgroup/user/memory.max":           "max\n",
			"sys/fs/cgroup/user/memory.current":       "9663676416\n",
			"sys/fs/cgroup/user/iris/memory.current":  "3221225472\n",
			"sys/fs/cgroup/user/iris/memory.pressure": "some avg10=40.00 avg60=0.00 avg300=0.00 total=1\n",
		}, MemoryState{4 * gib, 2 * gib, 40}},
		{"a cgroup above has less", map[string]string{
			"proc/self/cgroup":                       "0::/user/iris\n",
			"sys/fs/cgroup/user/iris/memory.max":     "4294967296\n",
			"sys/fs/cgroup/user/iris/memory.current": "0\n",
			"sys/fs/cgroup/user/memory.max":          "2147483648\n",
			"sys/fs/cgroup/user/memory.current":      "1073741824\n",
		}, MemoryState{2 * gib, 1 * gib, -1}},
		{"version 1 of a container", map[string]string{
			"proc/self/cgroup":                           "4:cpu,memory:/docker/0123\n3:cpuset:/\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "3221225472\n",
			"sys/fs/cgroup/memory/memory.stat":           "inactive_file 1\ntotal_inactive_file 2147483648\n",
		}, MemoryState{2 * gib, 1 * gib, -1}},
		{"version 1 without a limit", map[string]string{
			"proc/self/cgroup": "4:memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/a/memory.usage_in_bytes": "3221225472\n",
		}, MemoryState{16 * gib, 10 * gib, -1}},
		{"more used than allowed", map[string]string{
			"proc/self/cgroup":             "0::/\n",
			"sys/fs/cgroup/memory.max":     "1073741824\n",
			"sys/fs/cgroup/memory.current": "2147483648\n",
		}, MemoryState{1 * gib, 0, -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := memoryBelow(machine(t, test.files)); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestMemoryOfThisMachineIsKnown(t *testing.T) {
	if m := Memory(); m.Total <= 0 || m.Available <= 0 || m.Available > m.Total {
		t.Errorf("got %+v", m)
	}
	if m := memoryBelow(t.TempDir()); m != (MemoryState{Stalled: -1}) {
		t.Errorf("got %+v without /proc", m)
	}
}
