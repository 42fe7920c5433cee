package claude

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"iris/pool/turn"
)

// What was allowed for good is not asked for again, in no file, and gone with the
// process.
func TestRealAlways(t *testing.T) {
	a := realAsking(t)
	p := a.start()
	always := func(text, offered string) {
		t.Helper()
		u := begin(t, t.Context(), p, text, "can_use_tool")
		q := a.next()
		if got := strings.Join(q.Offered(), ", "); got != offered {
			t.Errorf("%s: it offers %q, want %q", text, got, offered)
		}
		if err := p.AnswerAlways(q.ID); err != nil {
			t.Fatal(err)
		}
		if res, err := u.wait(t); err != nil || res.Outcome != turn.Success {
			t.Fatalf("%s: got %+v, %v", text, res, err)
		}
	}
	unasked := func(text string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			select {
			case <-a.requests: // it asks, and would wait
				cancel()
			case <-ctx.Done():
			}
		})
		res, err := p.Send(ctx, &Message{Text: text})
		cancel()
		wg.Wait()
		if err != nil || res.Outcome != turn.Success || !strings.HasPrefix(res.Text, "tool said") {
			t.Errorf("%s: got %+v, %v", text, res, err)
		}
	}
	write := func(name string) string {
		return fmt.Sprintf(`tool:Write:{"file_path":%q,"content":"x"}`, filepath.Join(a.o.Dir, name))
	}
	const push = `tool:Bash:{"command":"git push origin %s","description":"d"}`
	always(fmt.Sprintf(push, "one"), "Bash(git push *)")
	unasked(fmt.Sprintf(push, "two"))
	always(write("one"), "permission mode acceptEdits")
	unasked(write("two"))
	if p.OddMode() != "acceptEdits" {
		t.Errorf("odd mode %q", p.OddMode())
	}
	p = a.adopted(p)
	unasked(write("three"))
	filepath.WalkDir(a.o.Dir, func(path string, _ os.DirEntry, _ error) error {
		if strings.Contains(path, "settings") {
			t.Errorf("it has made %s", path)
		}
		return nil
	})
	p.Stop()
	p = a.again()
	always(fmt.Sprintf(push, "three"), "Bash(git push *)")
	always(write("four"), "permission mode acceptEdits")
}
