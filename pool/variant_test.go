package pool_test

import (
	"errors"
	"testing"
	"time"

	"iris/pool"
)

// as has a message ask for a variant.
func as(v pool.Variant) func(*pool.Turn) { return func(t *pool.Turn) { t.Variant = &v } }

func TestAMessageGetsAnAgentOfItsVariant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		haiku := pool.Variant{Model: "haiku"}
		both := pool.Variant{Model: "opus", JSONSchema: "{}"}
		submit(p, "a", "0s").wait()
		for _, c := range []struct {
			want    pool.Variant
			started int
		}{
			{pool.Variant{}, 1}, {haiku, 2}, {haiku, 2}, {both, 3}, {pool.Variant{}, 4}, {pool.Variant{}, 4},
		} {
			submit(p, "a", "0s", as(c.want)).mustText(t, "a:0s")
			if got := h.last().variant; got != c.want {
				t.Errorf("answered by %+v, want %+v", got, c.want)
			}
			if started, live := h.count(); started != c.started || live != 1 {
				t.Errorf("%+v: %d started, %d live, want %d and 1", c.want, started, live, c.started)
			}
		}
		var why []string
		evs, _, _ := p.Events(0)
		for _, e := range evs {
			if e.Type == pool.ProcessTerminated {
				why = append(why, e.Detail)
			}
		}
		want := []string{
			"the next message is with --model", "the next message is with --model, --json-schema",
			"the next message is without --model, --json-schema",
		}
		if len(why) != len(want) {
			t.Fatalf("got %q", why)
		}
		for i := range want {
			if why[i] != want[i] {
				t.Errorf("got %q, want %q", why[i], want[i])
			}
		}
	})
}

// The order of a conversation holds whatever its messages ask for, and a message
// that is taken back takes its wish along.
func TestVariantsKeepTheOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		plan := pool.Variant{PermissionMode: "plan"}
		var all []*call
		for i := range 6 {
			v := pool.Variant{}
			if i%2 == 1 {
				v = plan
			}
			all = append(all, submit(p, "a", "1s", as(v)))
		}
		time.Sleep(time.Second / 2)
		gone := submit(p, "a", "1s", as(pool.Variant{MaxTurns: 3}))
		p.Cancel(gone.id)
		for i, s := range all {
			s.mustText(t, "a:1s")
			for _, later := range all[i+1:] {
				if later.ended() {
					t.Errorf("a message has overtaken number %d", i)
				}
			}
		}
		if started, _ := h.count(); started != 6 {
			t.Errorf("%d agents, want 6", started)
		}
	})
}

func TestAWakeTakesAnyVariant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "0s", as(pool.Variant{Model: "m"})).wait()
		if _, err := p.Wake(t.Context(), key("a")); err != nil {
			t.Fatal(err)
		}
		if started, _ := h.count(); started != 1 {
			t.Errorf("%d agents, want 1", started)
		}
	})
}

// Work beside a turn that goes with the agent makes the turn incomplete; work
// that goes on does not.
func TestBackgroundWorkThatIsCutOff(t *testing.T) {
	for _, c := range []struct {
		name  string
		fresh bool
		set   pool.Settings
		want  pool.Outcome
	}{
		{"stays", false, pool.Settings{}, pool.OutcomeSuccess},
		{"fresh", true, pool.Settings{}, pool.OutcomeIncomplete},
		{"last turn", false, pool.Settings{MaxTurns: 1}, pool.OutcomeIncomplete},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				h.background = []string{"the tests"}
				p := h.pool(pool.Limits{MaxProcesses: 1}, c.set)
				s := submit(p, "a", "0s", func(t *pool.Turn) { t.Fresh = c.fresh })
				res, err := s.wait().res, s.err
				if err != nil || res.Outcome != c.want {
					t.Fatalf("got %+v, %v, want %s", res, err, c.want)
				}
				if told := res.Err == "background work was ended with the agent: the tests"; told != (c.want == pool.OutcomeIncomplete) {
					t.Errorf("said %q", res.Err)
				}
			})
		})
	}
}

// An agent that does not start as a message wants it fails that message and those
// that want the same. The others of the conversation get theirs.
func TestAVariantThatDoesNotStartFailsNobodyElse(t *testing.T) {
	for _, permanent := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			odd := pool.Variant{PermissionMode: "odd"}
			h.variantErr = func(v pool.Variant) error {
				if v == odd {
					return &pool.StartError{Permanent: permanent, Err: errNoLuck}
				}
				return nil
			}
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
			submit(p, "a", "1s")
			bad := submit(p, "a", "0s", as(odd))
			plain := submit(p, "a", "0s")
			other := submit(p, "a", "0s", as(pool.Variant{Model: "m"}))
			too := submit(p, "a", "0s", as(odd))
			plain.mustText(t, "a:0s")
			other.mustText(t, "a:0s")
			for _, s := range []*call{bad, too} {
				if err := s.wait().err; !errors.Is(err, errNoLuck) {
					t.Errorf("got %v", err)
				}
			}
			submit(p, "a", "0s").mustText(t, "a:0s")
		})
	}
}
