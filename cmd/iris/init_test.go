package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Every command pays for what its packages do before main. Ours may make a map
// or an error there; a pattern or a table is made when it is first needed.
func TestNoPackageOfOursDoesMuchBeforeMain(t *testing.T) {
	const limit = 4096 // bytes; a regular expression takes several times that
	cmd := exec.Command("iris", "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		// init iris/config @1.7 ms, 0.003 ms clock, 144 bytes, 2 allocs
		f := strings.Fields(line)
		if len(f) != 11 || f[0] != "init" || !strings.HasPrefix(f[1], "iris/") {
			continue
		}
		if f[1] == "iris/cmd/iris" || strings.HasSuffix(f[1], "test") {
			continue // the tests' own
		}
		found++
		if n, err := strconv.Atoi(f[7]); err != nil || n > limit {
			t.Errorf("%s allocates %s bytes before main, at most %d are allowed", f[1], f[7], limit)
		}
	}
	if found == 0 {
		t.Errorf("no line of ours in %s", out)
	}
}
