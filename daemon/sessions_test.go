package daemon

import (
	"testing"

	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// An answer from another conversation shows that the agent has moved on. If the conversation
// was reset meanwhile, it stays forgotten.
func TestConversationFollowsItsAnswers(t *testing.T) {
	_, dm, _ := startInside(t, "")
	k := pool.Key{Team: "api"}
	first, second := claude.NewSessionID(), claude.NewSessionID()
	used := func(id string) journal.Session {
		t.Helper()
		dm.conversations.Use(k, id, "")
		s, _, err := dm.conversations.Get(k)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := used(first); s.ID != "" {
		t.Errorf("none has begun: %+v", s)
	}
	if err := dm.store.SetSession(conversation.Name(k), journal.Session{ID: first, Dir: "/d", Model: "m"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ answer, want string }{
		{first, first}, {second, second}, {"", second}, {"../x", second},
	} {
		if s := used(c.answer); s.ID != c.want || s.Dir != "/d" || s.Model != "m" || !s.Used {
			t.Errorf("after an answer of %q: %+v", c.answer, s)
		}
	}
}
