package claude

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"iris/config/sys"
)

// The names of many agents come in several parts.
func TestTheLiveOwnerOfASessionIsFoundAmongMany(t *testing.T) {
	dir := t.TempDir()
	for i := range 2000 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("session-%04d.process-%d.out", i, i)))
		if err != nil {
			t.Fatal(err)
		}
		if i%1000 == 7 {
			if err := sys.Lock(f); err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			continue
		}
		f.Close()
	}
	for session, want := range map[string]string{
		"session-0007": "process-7", "session-1007": "process-1007",
		"session-1": "", "session-0008": "", "ession-0007": "", "none": "",
	} {
		if got, err := liveOwner(dir, session); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", session, got, err, want)
		}
	}
	if got, err := liveOwner(filepath.Join(dir, "none"), "s"); got != "" || err != nil {
		t.Errorf("without the directory: got %q, %v", got, err)
	}
}
