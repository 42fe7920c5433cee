package daemon

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"iris/ipc"
)

// The usage names the sums that it could not read, and has all the others.
func TestUsageNamesDamagedSums(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "web"))
	for _, team := range []string{"api", "web"} {
		if _, err := ask(d, team, "echo:x"); err != nil {
			t.Fatal(err)
		}
	}
	d.stop()
	b, err := os.ReadFile(d.paths.Journal)
	if err == nil {
		b = regexp.MustCompile(`(?s)([dq].{8}ap)i(\x00)`).ReplaceAll(b, []byte("${1}j$2"))
		err = os.WriteFile(d.paths.Journal, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.run()
	got := mustCall[ipc.UsageSums](d, ipc.MethodUsage, ipc.UsageQuery{By: "team"})
	if len(got.Sums) != 1 || got.Sums[0].Team != "web" || len(got.Damaged) != 1 || !strings.Contains(got.Damaged[0], "sums") {
		t.Errorf("got %+v", got)
	}
}
