package conversation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iris/config"
	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

var api = pool.Key{Team: "api"}

// begun returns a Registry with one conversation of the team api, unless that is nil.
func begun(t *testing.T, s *journal.Session) *Registry {
	t.Helper()
	st, _ := opened(t, store.Options{})
	if s != nil {
		if err := st.SetSession(Name(api), *s); err != nil {
			t.Fatal(err)
		}
	}
	return New(st)
}

func recorded(t *testing.T, r *Registry, k pool.Key) journal.Session {
	t.Helper()
	s, _, err := r.Get(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withTranscript returns the environment of an agent whose Claude Code has one transcript, of
// a turn in a directory.
func withTranscript(t *testing.T, id, dir string) (env []string) {
	t.Helper()
	conf := t.TempDir()
	path := filepath.Join(conf, "projects", "p", id+".jsonl")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, fmt.Appendf(nil, "{\"cwd\":%q}\n", dir), 0o600)); err != nil {
		t.Fatal(err)
	}
	return []string{"CLAUDE_CONFIG_DIR=" + conf}
}

// An agent continues its conversation where that can be: a transcript is missed only where the
// model was asked, and the agent keeps transcripts.
func TestFindContinuesAConversation(t *testing.T) {
	id := claude.NewSessionID()
	there, gone := withTranscript(t, id, "/d"), []string{"CLAUDE_CONFIG_DIR=" + t.TempDir()}
	used, unused := &journal.Session{ID: id, Used: true, Rewound: "u"}, &journal.Session{ID: id, Rewound: "u"}
	for name, c := range map[string]struct {
		s     *journal.Session
		agent string
		env   []string
		lost  bool
	}{
		"it is there":                  {used, "claude", there, false},
		"it is gone":                   {used, "claude", gone, true},
		"the model was never asked":    {unused, "claude", gone, false},
		"an agent without transcripts": {used, "echo", gone, false},
	} {
		r := begun(t, c.s)
		got, rewound, err := r.Find(api, &config.Team{Name: "api", Agent: c.agent}, c.env, false)
		lost, isLost := errors.AsType[*claude.ResumeError](err)
		if got != id || rewound != "u" || isLost != c.lost || (err != nil) != c.lost || isLost && !lost.Missing {
			t.Errorf("%s: got %s, %q, %v", name, got, rewound, err)
		}
	}
}

// A new conversation is on record before its agent starts, except that of a single message.
func TestFindBeginsAConversation(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		r := begun(t, nil)
		id, _, err := r.Find(api, &config.Team{Name: "api", Dir: "/d", Agent: "claude"}, nil, fresh)
		if err != nil || !claude.ValidSessionID(id) {
			t.Fatalf("got %q, %v", id, err)
		}
		s, ok, err := r.Get(api)
		if err != nil || ok == fresh || ok && (s.ID != id || s.Dir != "/d") {
			t.Errorf("fresh %t: on record %+v, %v", fresh, s, err)
		}
	}
	r := begun(t, nil)
	r.store.Close()
	if id, _, err := r.Find(api, &config.Team{Name: "api"}, nil, false); err == nil {
		t.Errorf("begun without a record: %s", id)
	}
}

// A new conversation takes the place of a lost one only where the team wants that, or where
// nothing is lost; then its model stays, and there is nothing to say.
func TestOrNewLosesNothingUnasked(t *testing.T) {
	id := claude.NewSessionID()
	missing := &claude.ResumeError{SessionID: id, Why: "gone", Missing: true}
	refused := &claude.ResumeError{SessionID: id, Why: "the program does not take it"}
	used := &journal.Session{ID: id, Used: true, Model: "opus", Rewound: "u"}
	unused := &journal.Session{ID: id, Model: "opus", Lent: true}
	for name, c := range map[string]struct {
		s      *journal.Session
		policy string
		err    error

		begins, notice, permanent bool
		model                     string // of the next agent
	}{
		"it is lost":                {s: used, policy: "stop", err: missing, permanent: true},
		"it is lost, begin anew":    {s: used, policy: "fresh", err: missing, begins: true, notice: true},
		"it is refused, begin anew": {s: used, policy: "fresh", err: refused, begins: true, notice: true},
		"it is refused":             {s: unused, policy: "stop", err: refused, permanent: true},
		"the model was never asked": {s: unused, policy: "stop", err: missing, begins: true, model: "opus"},
		"there is no record":        {policy: "stop", err: missing, permanent: true},
		"another error":             {s: unused, policy: "fresh", err: errors.New("other")},
	} {
		r := begun(t, c.s)
		o := &claude.Options{SessionID: id, RewindTo: "u"}
		err := r.OrNew(t.Context(), o, api, &config.Team{Name: "api", Dir: "/d", Settings: config.Settings{OnResumeFailure: c.policy}}, c.err)
		start, _ := errors.AsType[*pool.StartError](err)
		if (err == nil) != c.begins || err != nil && (start == nil || start.Permanent != c.permanent) {
			t.Errorf("%s: got %v", name, err)
		}
		now := recorded(t, r, api)
		if began := now.ID != id && now.ID != ""; began != c.begins || began && (o.SessionID != now.ID || o.RewindTo != "" || o.Model != c.model || now.Model != c.model) {
			t.Errorf("%s: on record %+v, started with %+v", name, now, o)
		}
		if got := r.TakeNotice(api); (got != "") != c.notice || c.notice && !strings.Contains(got, c.err.Error()) {
			t.Errorf("%s: notice %q", name, got)
		}
	}
	r := begun(t, used)
	r.store.Close()
	err := r.OrNew(t.Context(), &claude.Options{}, api, &config.Team{Settings: config.Settings{OnResumeFailure: "fresh"}}, missing)
	if start, ok := errors.AsType[*pool.StartError](err); !ok || start.Permanent {
		t.Errorf("without a record: got %v", err)
	}
}

// The error of a lost conversation says where it was, if the team is elsewhere now.
func TestLostConversationIsElsewhere(t *testing.T) {
	id, other := claude.NewSessionID(), claude.NewSessionID()
	old, now := t.TempDir(), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(now, link); err != nil {
		t.Fatal(err)
	}
	none := []string{"CLAUDE_CONFIG_DIR=" + t.TempDir()}
	for name, c := range map[string]struct {
		recorded, lost, was, team string
		env                       []string
		want                      string // in place of "gone"
	}{
		"the team has moved":    {recorded: id, was: old, team: now, env: none, want: "it was in " + old + ", the team is in " + now + " now: gone"},
		"the link has moved":    {recorded: id, was: link, team: link, env: withTranscript(t, id, old), want: "it was in " + old + ", and " + link + " leads to " + now + " now: gone"},
		"nothing has moved":     {recorded: id, was: link, team: link, env: withTranscript(t, id, now)},
		"nobody knows":          {recorded: id, was: link, team: link, env: none},
		"its directory is gone": {recorded: id, was: link + "x", team: link + "x", env: withTranscript(t, id, old)},
		"another conversation":  {recorded: other, was: old, team: now, env: none},
		"there is no record":    {was: old, team: now, env: none},
	} {
		var s *journal.Session
		if c.recorded != "" {
			s = &journal.Session{ID: c.recorded, Dir: c.was}
		}
		lost := &claude.ResumeError{SessionID: id, Why: "gone"}
		begun(t, s).Elsewhere(api, &config.Team{Name: "api", Dir: c.team}, c.env, lost)
		if c.want == "" {
			c.want = "gone"
		}
		if lost.Why != c.want {
			t.Errorf("%s: got %q, want %q", name, lost.Why, c.want)
		}
	}
}

// A message with a model of its own does not change that of its conversation.
func TestConversationKeepsItsModel(t *testing.T) {
	asks := 0
	ask := func(context.Context) (string, error) { asks++; return "usual", nil }
	wants := turn.Variant{Model: "haiku"}
	for name, c := range map[string]struct {
		s     *journal.Session
		fresh bool
		v     turn.Variant
		model string // of the agent
		after string // on record
		asks  int
	}{
		"no wish":                       {s: &journal.Session{ID: "s", Model: "opus"}, after: "opus"},
		"a wish":                        {s: &journal.Session{ID: "s", Model: "opus"}, v: wants, after: "opus lent"},
		"a wish of the first message":   {s: &journal.Session{ID: "s"}, v: wants, after: "usual lent", asks: 1},
		"a second wish":                 {s: &journal.Session{ID: "s", Model: "opus", Lent: true}, v: wants, after: "opus lent"},
		"no wish after one":             {s: &journal.Session{ID: "s", Model: "opus", Lent: true}, model: "opus", after: "opus lent"},
		"after one, and nobody knows":   {s: &journal.Session{ID: "s", Lent: true}, model: "default", after: " lent"},
		"a wish without a conversation": {v: wants},
		"a wish of a single message":    {fresh: true, v: wants},
	} {
		r, k := begun(t, c.s), api
		if c.fresh {
			k.Session = FreshPrefix + "m"
		}
		asks = 0
		model, err := r.PinModel(k, c.fresh, c.v)
		r.RecordDefaultModel(t.Context(), k, ask, c.v)
		s := recorded(t, r, k)
		if after := s.Model + map[bool]string{true: " lent"}[s.Lent]; err != nil || model != c.model || after != c.after || asks != c.asks {
			t.Errorf("%s: agent with %q, %v; on record %q, asked %d times", name, model, err, after, asks)
		}
	}
	r := begun(t, &journal.Session{ID: "s"})
	var log bytes.Buffer
	r.store.Log = slog.New(slog.NewTextHandler(&log, nil))
	r.RecordDefaultModel(t.Context(), api, func(context.Context) (string, error) { return "half", errors.New("no answer") }, wants)
	if s := recorded(t, r, api); s.Model != "" || !strings.Contains(log.String(), "no answer") {
		t.Errorf("recorded without an answer: %q, logged %q", s.Model, &log)
	}
}

// What an agent says of its conversation is on record afterwards, without a word in the log;
// that of a single message is never.
func TestConversationFollowsItsAgent(t *testing.T) {
	r := begun(t, &journal.Session{ID: "s1", Dir: "/old", Model: "opus", Used: true, Rewound: "u"})
	var log bytes.Buffer
	r.store.Log = slog.New(slog.NewTextHandler(&log, nil))
	second, single := claude.NewSessionID(), pool.Key{Team: "api", Session: FreshPrefix + "m"}
	for _, k := range []pool.Key{api, single} {
		r.EndRewind(k, "s1")
		r.MoveTo(k, "/new")
		if s := recorded(t, r, k); k == api && (s.Rewound != "" || s.Dir != "/new" || s.ID != "s1") {
			t.Errorf("moved: got %+v", s)
		}
		before := time.Now()
		r.MoveOn(k, "/new", second)
		if s := recorded(t, r, k); k == api && (s.ID != second || s.Used || s.Model != "opus" || s.Created.Before(before)) {
			t.Errorf("after /clear: got %+v", s)
		}
		r.Use(k, &turn.Result{SessionID: second}, "") // a command, which asks no model
		if s := recorded(t, r, k); k == api && s.Used {
			t.Errorf("used by a command: got %+v", s)
		}
		r.Use(k, &turn.Result{SessionID: second, Turns: 1}, "haiku")
		if s := recorded(t, r, k); k == api && (!s.Used || s.Model != "haiku") {
			t.Errorf("used: got %+v", s)
		}
	}
	if _, ok, err := r.Get(single); ok || err != nil {
		t.Errorf("a single message is on record: %v", err)
	}
	r.MoveTo(pool.Key{Team: "web"}, "/new")
	if _, ok, err := r.Get(pool.Key{Team: "web"}); ok || err != nil {
		t.Errorf("a conversation came to be: %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
}

// An answer from another conversation shows that the agent has moved on. If the conversation
// was reset meanwhile, it stays forgotten.
func TestConversationFollowsItsAnswers(t *testing.T) {
	r := begun(t, nil)
	first, second := claude.NewSessionID(), claude.NewSessionID()
	used := func(id string) journal.Session {
		t.Helper()
		r.Use(api, &turn.Result{SessionID: id, Turns: 1}, "")
		return recorded(t, r, api)
	}
	if s := used(first); s.ID != "" {
		t.Errorf("none has begun: %+v", s)
	}
	if err := r.store.SetSession(Name(api), journal.Session{ID: first, Dir: "/d", Model: "m", Rewound: "u"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ answer, want, rewound string }{
		{first, first, "u"}, {second, second, ""}, {"", second, ""}, {"../x", second, ""},
	} {
		if s := used(c.answer); s.ID != c.want || s.Dir != "/d" || s.Model != "m" || !s.Used || s.Rewound != c.rewound {
			t.Errorf("after an answer of %q: %+v", c.answer, s)
		}
	}
}
