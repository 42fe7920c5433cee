package pool_test

import (
	"errors"
	"testing"

	"iris/pool"
	"iris/pool/turn"
)

// as has a message ask for a variant.
func as(v turn.Variant) func(*message) { return func(t *message) { t.Variant = &v } }

func TestAMessageGetsAnAgentOfItsVariant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		haiku := turn.Variant{Model: "haiku"}
		both := turn.Variant{Model: "opus", JSONSchema: "{}"}
		rest := turn.Variant{PermissionMode: "plan", MaxTurns: 3, AppendSystemPrompt: "be brief"}
		submit(p, "a", "0s").wait()
		for _, c := range []struct {
			want    turn.Variant
			started int
		}{
			{turn.Variant{}, 1}, {haiku, 2}, {haiku, 2}, {both, 3}, {turn.Variant{}, 4}, {turn.Variant{}, 4}, {rest, 5}, {both, 6},
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
			"the next message is with --permission-mode, --max-turns, --append-system-prompt",
			"the next message is with --model, --json-schema and without --permission-mode, --max-turns, --append-system-prompt",
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

// A setting that a live agent can change for one turn needs no other agent. The
// permission mode is such a setting only if the agent can take it back.
func TestAMessageThatALiveAgentCanServe(t *testing.T) {
	warm := turn.Variant{Effort: "low", AllowedTools: "Edit"}
	moded := turn.Variant{Effort: "low", PermissionMode: "plan"}
	for _, c := range []struct {
		name     string
		setsMode bool
		asked    []turn.Variant
		started  int
	}{
		{"warm", false, []turn.Variant{{}, warm, {}, warm}, 1},
		{"mode", true, []turn.Variant{{}, moded, warm, {PermissionMode: "default"}}, 1},
		{"mode at the start", true, []turn.Variant{moded, {}}, 1},
		{"mode by a start", false, []turn.Variant{{}, moded, {PermissionMode: "plan"}, warm}, 3},
		{"both", true, []turn.Variant{warm, {Model: "m", Effort: "high"}, {Model: "m", PermissionMode: "plan"}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				h.setsMode = c.setsMode
				p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
				for _, v := range c.asked {
					submit(p, "a", "0s", as(v)).mustText(t, "a:0s")
				}
				if started, _ := h.count(); started != c.started {
					t.Errorf("%d agents, want %d", started, c.started)
				}
			})
		})
	}
}

func TestAWakeTakesAnyVariant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "0s", as(turn.Variant{Model: "m"})).wait()
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
		want  turn.Outcome
	}{
		{"stays", false, pool.Settings{}, "success"},
		{"fresh", true, pool.Settings{}, "incomplete"},
		{"last turn", false, pool.Settings{MaxMessages: 1}, "incomplete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				h.background = []string{"the tests"}
				p := h.pool(pool.Limits{MaxProcesses: 1}, c.set)
				s := submit(p, "a", "0s", func(t *message) { t.Fresh = c.fresh })
				res, err := s.wait().res, s.err
				if err != nil || res.Outcome != c.want {
					t.Fatalf("got %+v, %v, want %s", res, err, c.want)
				}
			})
		})
	}
}

// If no agent starts as a message wants it, that message fails, and so do those with
// the same Variant. The other messages of the conversation get their agent.
func TestAVariantThatDoesNotStartFailsNobodyElse(t *testing.T) {
	for _, permanent := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			odd := turn.Variant{PermissionMode: "odd"}
			h.variantErr = func(v turn.Variant) error {
				if v == odd {
					return &pool.StartError{Permanent: permanent, Err: errNoLuck}
				}
				return nil
			}
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
			submit(p, "a", "1s")
			bad := submit(p, "a", "0s", as(odd))
			plain := submit(p, "a", "0s")
			other := submit(p, "a", "0s", as(turn.Variant{Model: "m"}))
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
