package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/pool/turn"
)

// TestMain lets the test binary be a writer that is killed.
func TestMain(m *testing.M) {
	pruneRest = 1
	if len(os.Args) > 2 {
		if f, ok := roles[os.Args[1]]; ok {
			f(os.Args[2:])
			os.Exit(0)
		}
	}
	// bbolt leaves it behind where it refuses a file whose pages it lists.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.etcd.io/bbolt.(*DB).freepages.func2"))
}

var roles = map[string]func(args []string){}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

func messageID(n int) string { return fmt.Sprintf("m%015d", n) }

// message is one of that number for team api.
func message(n int) New {
	return New{ID: messageID(n), Team: "api", Body: fmt.Appendf(nil, "body %d", n), At: at(n)}
}

func attempt(n int) Attempt {
	return Attempt{Process: fmt.Sprintf("p%d", n), Offset: int64(n), Boot: "b", At: at(n)}
}

func done(text string) End {
	return End{State: Done, At: at(9), Result: &Result{Result: turn.Result{Outcome: "success", Text: text, CostUSD: 0.25}}}
}

func tempJournal(t *testing.T) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	return mustOpen(t, path), path
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustAccept(t testing.TB, j *Journal, n New) Accepted {
	t.Helper()
	return must1(j.Accept(n))(t)
}

func must1[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		return must(t, v, err)
	}
}

// ids collects the ids of a sequence without errors.
func ids(t testing.TB, seq func(func(Message, error) bool)) []string {
	t.Helper()
	out := []string{}
	for m, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.ID)
	}
	return out
}
