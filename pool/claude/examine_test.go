package claude

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A program that writes without end takes no more memory than a program that answers.
func TestExamineKeepsTheBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claude")
	written := filepath.Join(t.TempDir(), "written") // a byte for each 8 lines
	script := "#!/bin/sh\nwhile :; do for i in 1 2 3 4 5 6 7 8; do echo 0123456789012345678901234567890123456789; done; echo >> " + written + "; done\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { // until it has written more than is kept
		defer cancel()
		for ctx.Err() == nil {
			if info, err := os.Stat(written); err == nil && info.Size()*8*41 > 2*mostSaid {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	o := Options{Dir: "/", Env: []string{"PATH=/usr/bin:/bin"}}
	out, err := o.query(ctx, path, "--version")
	if err == nil || len(out) != mostSaid {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}
