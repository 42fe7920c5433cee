package delivery

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// record puts a message on record that is in the state of e; running without one.
func record(t *testing.T, d *Dispatcher, n journal.New, e journal.End) {
	t.Helper()
	n.Body, n.At = []byte("x"), time.Now()
	_, err := d.o.Store.AcceptAndDispatch(n, journal.Attempt{Process: "p-" + n.ID, Boot: "b", At: n.At})
	if err == nil && e.State != "" {
		e.At = time.Now()
		_, err = d.o.Store.End(n.ID, e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// damage makes the record of a message unreadable. The message is of team api, and its
// session has the name of its id.
func damage(t *testing.T, d *Dispatcher, id string) {
	t.Helper()
	d.o.Store.Journal.Close()
	b, err := os.ReadFile(d.o.Paths.Journal)
	if err == nil {
		names := "\x03api" + string(rune(len(id)))
		b = bytes.ReplaceAll(b, []byte(names+id), []byte(names+strings.Repeat("z", len(id))))
		err = os.WriteFile(d.o.Paths.Journal, b, 0o600)
	}
	if err == nil {
		d.o.Store.Journal, err = journal.Open(d.o.Paths.Journal)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A damaged message is named. It keeps no other from being taken up or listed.
func TestDamagedMessageHidesNoOther(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	for _, id := range []string{"m1", "m2", "m3"} {
		record(t, d, journal.New{ID: id, Team: "api", Session: id}, journal.End{})
	}
	queued := journal.New{ID: "m4", Team: "api", Session: "m4", Body: []byte("x"), At: time.Now()}
	if _, err := d.o.Store.Accept(queued); err != nil {
		t.Fatal(err)
	}
	damage(t, d, "m2")
	damage(t, d, "m4")
	if err := d.Recover(nil, nil); err != nil {
		t.Fatal(err)
	}
	got, err := d.List(t.Context(), &ipc.Call{})
	if err != nil {
		t.Fatal(err)
	}
	list := got.(ipc.MessageList)
	var states []string
	for _, m := range list.Messages {
		states = append(states, m.ID+" "+m.State)
	}
	if !slices.Equal(states, []string{"m3 unknown", "m1 unknown"}) || len(list.Damaged) != 2 || !strings.Contains(list.Damaged[1], "m2") {
		t.Errorf("got %q, damaged %q", states, list.Damaged)
	}
}

func TestPagesHaveALimit(t *testing.T) {
	d := newDispatcher(t, "")
	for limit, want := range map[int]int{-1: maxPage, 0: maxPage, 1: 1, maxPage: maxPage, maxPage + 1: maxPage} {
		if f, err := d.filter(&ipc.MessageQuery{Limit: limit}); err != nil || f.Limit != want {
			t.Errorf("%d: got %d, %v, want %d", limit, f.Limit, err, want)
		}
	}
	for year, want := range map[int]bool{maxYear: true, maxYear + 1: false} {
		if _, err := d.filter(&ipc.MessageQuery{Since: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)}); (err == nil) != want {
			t.Errorf("since %d: %v", year, err)
		}
	}
}

// A list can be of one team, which must exist.
func TestListOfATeam(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api")+"[teams.web]\ndir = \"/\"\n")
	for _, team := range []string{"api", "web"} {
		record(t, d, journal.New{ID: "m-" + team, Team: team}, journal.End{})
	}
	for team, want := range map[string]int{"": 2, "web": 1, "gone": 0} {
		c := &client{t: t}
		var list ipc.MessageList
		err := c.call(d.List, ipc.MessageQuery{Team: team}, &list)
		if len(list.Messages) != want || (err == nil) != (want > 0) || want == 1 && list.Messages[0].ID != "m-web" {
			t.Errorf("%q: got %+v, %v", team, list, err)
		}
	}
}

// Without an id the newest message is meant, of all or of one conversation.
func TestNewestMessageNeedsNoID(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api")+"[teams.web]\ndir = \"/\"\n")
	record(t, d, journal.New{ID: "m1", Team: "api", Session: "s"}, journal.End{State: journal.Done})
	record(t, d, journal.New{ID: "m2", Team: "api"}, journal.End{})
	record(t, d, journal.New{ID: "m3", Team: "web"}, journal.End{})
	for _, c := range []struct {
		ref  ipc.MessageRef
		want string
	}{
		{ipc.MessageRef{}, "m3"}, {ipc.MessageRef{Team: "api"}, "m2"}, {ipc.MessageRef{Team: "api", Session: "s"}, "m1"},
		{ipc.MessageRef{Session: "s"}, ""}, {ipc.MessageRef{Team: "web", Session: "s"}, ""},
	} {
		cl := &client{t: t}
		var got ipc.MessageID
		if err := cl.call(d.Find, c.ref, &got); got.ID != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: got %+v, %v", c.ref, got, err)
		}
	}
}

// Show tells what a sender wanted for the turn, and in which agents the attempts ran.
func TestShownMessage(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	v := turn.Variant{Model: "opus"}
	record(t, d, journal.New{ID: "m-v1", Team: "api", Options: journal.Options{Variant: &v}}, journal.End{State: journal.Failed})
	record(t, d, journal.New{ID: "m-v2", Team: "api"}, journal.End{})
	for id, wants := range map[string]*turn.Variant{"m-v1": &v, "m-v2": nil} {
		c := &client{t: t}
		var m ipc.Message
		err := c.call(d.Show, ipc.MessageRef{ID: id}, &m)
		if err != nil || !reflect.DeepEqual(m.Options, wants) || len(m.History) < 2 || m.History[0].Process != "" || m.History[1].Process != "p-"+id {
			t.Errorf("%s: got %+v, %v", id, m, err)
		}
	}
}

// The end of a message may be on record without a result.
func TestEndWithoutAResultIsToldAsItIs(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	for state, want := range map[journal.State]struct {
		code int
		text string
	}{
		journal.Unknown: {ipc.CodeUnknown, "team api@unknown: how the turn ended is unknown: nothing more is on record"},
		journal.Failed:  {ipc.CodeFailed, "team api@failed: message failed failed: nothing more is on record"},
	} {
		id := string(state)
		record(t, d, journal.New{ID: id, Team: "api", Session: id}, journal.End{State: state})
		_, err := d.recall(id, nil)
		if e, ok := errors.AsType[*ipc.Error](err); !ok || e.Code != want.code || e.Message != want.text {
			t.Errorf("%s: got %v", state, err)
		}
	}
}

// A note of a person has a limit.
func TestNoteHasALimit(t *testing.T) {
	d := newDispatcher(t, "")
	record(t, d, journal.New{ID: "m1", Team: "api"}, journal.End{State: journal.Unknown})
	for _, note := range []struct{ size, code int }{{maxNote + 1, ipc.CodeUsage}, {maxNote, 0}} {
		c := &client{t: t}
		err := c.call(d.Resolve, ipc.Resolve{ID: "m1", State: "done", Note: strings.Repeat("x", note.size)}, nil)
		if code(err) != note.code {
			t.Errorf("%d bytes: %v", note.size, err)
		}
	}
}

func TestPrefixOfAnIDNamesItsMessage(t *testing.T) {
	d := newDispatcher(t, "")
	for _, id := range []string{"aaaab", "aaabb"} {
		record(t, d, journal.New{ID: id, Team: "api"}, journal.End{})
	}
	for prefix, want := range map[string]string{"aaaa": "aaaab", "aaabb": "aaabb", "aaa": "", "aaac": ""} {
		if got, err := d.fullID(prefix); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", prefix, got, err, want)
		}
	}
	record(t, d, journal.New{ID: "aaaac", Team: "api"}, journal.End{})
	if _, err := d.fullID("aaaa"); err == nil || !strings.Contains(err.Error(), "aaaac") {
		t.Errorf("of two: %v", err)
	}
}

// isHeld reports whether a new message of the conversation waits until somebody resolves another.
func isHeld(t *testing.T, d *Dispatcher, k pool.Key, id string) bool {
	t.Helper()
	m := d.newDelivery(journal.New{ID: id, Team: k.Team, Session: k.Session, Body: []byte("hang:"), At: time.Now()})
	m.eager = true
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	_, why := d.o.Pool.Position(id)
	d.o.Pool.Cancel(id)
	<-m.done
	return strings.HasPrefix(why, "somebody to resolve")
}

// A conversation is held as long as nobody has said how its message ended, and no longer.
func TestUnknownMessageHoldsItsConversation(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	hold := journal.Options{OnUnknown: "hold"}
	for _, id := range []string{"m1", "m2"} {
		record(t, d, journal.New{ID: id, Team: api.Team, Session: api.Session, Options: hold}, journal.End{State: journal.Unknown})
	}
	record(t, d, journal.New{ID: "m3", Team: "web", Options: hold}, journal.End{State: journal.Unknown})
	record(t, d, journal.New{ID: "m4", Team: api.Team, Session: api.Session}, journal.End{State: journal.Unknown})
	record(t, d, journal.New{ID: "m5", Team: "web", Options: hold}, journal.End{State: journal.Unknown})
	damage(t, d, "m5")
	resolve := func(id string) *delivery {
		m, err := d.o.Store.Resolve(id, journal.End{State: journal.Done, At: time.Now(), By: "a person"})
		if err != nil {
			t.Fatal(err)
		}
		return d.restored(&m)
	}
	d.holdUnknown(resolve("m1"))
	if isHeld(t, d, api, "n1") {
		t.Error("held for a message that is resolved")
	}
	m2, err := d.o.Store.Message("m2")
	if err != nil {
		t.Fatal(err)
	}
	d.holdUnknown(d.restored(&m2))
	d.Unhold(api) // as after another message
	if !isHeld(t, d, api, "n2") {
		t.Error("not held")
	}
	if err := d.Unfinished(api.Team); err == nil || !strings.Contains(err.Error(), "m2") {
		t.Errorf("unfinished: %v", err)
	}
	if err := d.Unfinished("other"); err != nil {
		t.Errorf("of another team: %v", err)
	}
	resolve("m2")
	d.Unhold(api)
	if isHeld(t, d, api, "n3") {
		t.Error("still held")
	}
	if err := d.Unfinished(api.Team); err != nil {
		t.Errorf("nothing is: %v", err)
	}
}

// A sender is told that its message was there already if it meant that by a key.
func TestSenderIsToldOfAnExistingMessage(t *testing.T) {
	d := newDispatcher(t, "")
	for _, c := range []struct {
		key          string
		pruned, want bool
	}{{"", false, false}, {"k", false, true}, {"", true, true}} {
		found := journal.Accepted{Existing: true, Pruned: c.pruned, Message: journal.Message{ID: "m1", Options: journal.Options{Key: c.key}}}
		if _, st, err := d.existing(&ipc.Call{}, &found, false); err != nil || st.Existing != c.want {
			t.Errorf("%+v: got %+v, %v", c, st, err)
		}
	}
}

func TestMessageIsLocated(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api")+"[teams.plain]\ndir = \"/\"\nagent = \"echo\"\n")
	k := pool.Key{Team: "api", Session: "known"}
	if err := d.o.Store.SetSession(conversation.Name(k), journal.Session{ID: "s1", Dir: "/other"}); err != nil {
		t.Fatal(err)
	}
	projects := filepath.Join(os.Getenv("HOME"), ".claude", "projects", "x")
	if err := os.MkdirAll(projects, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"s1", "s2", "s3"} {
		if err := os.WriteFile(filepath.Join(projects, id+".jsonl"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	team, err := d.team("api")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		team, session, id string
		dir, wantID       string
		transcript        bool
	}{
		{"api", "known", "", "/other", "s1", true},
		{"api", "known", "s2", "/other", "s2", true},
		{"api", "new", "", team.Dir, "", false},
		{"plain", "new", "s3", "/", "s3", false},
		{"gone", "new", "s4", "", "s4", false},
	} {
		w := d.locate(ipc.Message{Team: c.team, SessionID: c.id}, c.session)
		if w.Dir != c.dir || w.SessionID != c.wantID || (w.Transcript != "") != c.transcript {
			t.Errorf("%+v: got %s, %s, %q", c, w.Dir, w.SessionID, w.Transcript)
		}
	}
}
