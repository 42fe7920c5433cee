package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// scene is what three witnesses say of two messages of one sender, both done:
// the first was settled after a kill.
type scene struct {
	notes         *notes
	first, second *message
	records       []record
	entries       []claudetest.Entry
}

func newScene() *scene {
	n := newNotes()
	s := &scene{notes: n}
	for i, m := range []**message{&s.first, &s.second} {
		id, process := "id-"+string(rune('a'+i)), "p-"+string(rune('1'+i))
		*m = n.add(ipc.Send{Team: "t1", Key: []string{"", "k"}[i]}, func(int) text {
			return text{token: "echo:" + id, answer: id}
		})
		n.accepted(*m, id)
		n.ended(id, "done")
		s.records = append(s.records, record{answer: id, Message: ipc.Message{
			ID: id, State: "done", Origin: "echo:" + id, Bytes: int64(len("echo:" + id)), Process: process,
			History: []ipc.Change{{State: "queued"}, {State: "running", Process: process}, {State: "done", By: []string{"recovery", ""}[i]}},
		}})
		s.entries = append(s.entries,
			claudetest.Entry{Kind: "B", UUID: "u" + id, Process: process, Text: "echo:" + id},
			claudetest.Entry{Kind: "E", UUID: "u" + id, Process: process, Text: "success"},
			claudetest.Entry{Kind: "W", UUID: "u" + id, Process: process})
	}
	return s
}

func (s *scene) judge() *report {
	r := &report{fates: fates{atKill: 1}}
	o := oracle{notes: s.notes, records: s.records, entries: s.entries, report: r}
	o.judge()
	return r
}

// end changes how the first message ended, and what was told of it.
func (s *scene) end(state string) *record {
	r := &s.records[0]
	r.State, r.History[2].State = state, state
	s.notes.told[r.ID] = []string{state}
	return r
}

func TestOracleIsContentWithWhatIsRight(t *testing.T) {
	s := newScene()
	if r := s.judge(); len(r.problems) > 0 || r.done != 2 || r.accepted != 2 || r.begun != 2 || r.settled != 1 {
		t.Errorf("got %q\n%s", r.problems, r.summary())
	}
}

// putOff has the first message hit a limit of five seconds and run again when it is over, or
// so much earlier.
func (s *scene) putOff(early time.Duration) {
	r, at := &s.records[0], time.Unix(1e9, 0)
	for i := range s.records {
		s.records[i].Team = "t1"
	}
	running := r.History[1]
	running.At = at.Add(5*time.Second - early)
	r.History = slices.Insert(r.History, 2, ipc.Change{State: "queued", Note: putOffNote, At: at}, running)
	begun := s.entries[0]
	begun.UUID += "-limited"
	limited := begun
	limited.Kind, limited.Text = "L", fmt.Sprint(at.Add(5*time.Second).Unix())
	s.entries = slices.Insert(s.entries, 0, begun, limited)
}

func TestOracleAllowsWhatFollowsFromALimit(t *testing.T) {
	s := newScene()
	s.putOff(0)
	if r := s.judge(); len(r.problems) > 0 || r.putOff != 1 {
		t.Errorf("after the reset: got %q\n%s", r.problems, r.summary())
	}
	s = newScene()
	s.putOff(2 * time.Second)
	s.notes.opens["account-1"] = []time.Time{s.records[0].History[3].At}
	if r := s.judge(); len(r.problems) > 0 || r.opened != 1 {
		t.Errorf("after a person has opened the account: got %q\n%s", r.problems, r.summary())
	}
	s = newScene()
	s.putOff(0)
	r := s.end("failed")
	r.OnLimit, r.History = "fail", []ipc.Change{r.History[0], r.History[1], {State: "failed"}}
	s.entries = slices.Delete(s.entries, 2, 5)
	if got := s.judge(); len(got.problems) != 1 || got.noProof > 0 { // nothing was settled
		t.Errorf("failed as its sender wanted: got %q\n%s", got.problems, got.summary())
	}
}

func TestOracleSeesEachBrokenPromise(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *scene)
		want string // a part of the summary
	}{
		{"an id that is not on record", func(s *scene) { s.notes.accepted(s.first, "other") }, "lost 1"},
		{"an id of another message", func(s *scene) { s.notes.accepted(s.first, "id-b") }, "lost 1"},
		{"a text cut short", func(s *scene) { s.records[0].Bytes-- }, "lost 1"},
		{"a turn without a record", func(s *scene) { s.records = s.records[1:] }, "begun without a record 1"},
		{"a turn in a process that is not on record", func(s *scene) { s.records[0].History[1].Process = "p-9" }, "begun without a record 1"},
		{"a turn of a message on record as queued", func(s *scene) {
			r := s.end("cancelled")
			r.History = append(r.History[:1], r.History[2])
			s.entries[1].Text = "interrupted"
		}, "begun without a record 1"},
		{"two turns", func(s *scene) { s.entries = append(s.entries, s.entries[0]) }, "started twice 1"},
		{"two records", func(s *scene) {
			s.records = append(s.records, s.records[0])
			s.records[2].ID = "id-c"
		}, "started twice 1"},
		{"two records of one key", func(s *scene) {
			s.records = append(s.records, s.records[1])
			s.records[2].ID = "id-c"
		}, "key used twice 1"},
		{"another text under a key", func(s *scene) { s.notes.stolen(s.second, "id-c") }, "key used twice 1"},
		{"sent again without need", func(s *scene) {
			s.sendAgain()
			s.records[0].OnUnknown = ""
			s.notes.kill("p-1", "t1")
		}, "started twice 1"},
		{"put off without a limit", func(s *scene) {
			s.putOff(0)
			s.entries = slices.DeleteFunc(s.entries, func(e claudetest.Entry) bool { return e.Kind == "L" })
		}, "ends without proof 1"},
		{"put off once and run three times", func(s *scene) {
			s.putOff(0)
			s.entries = append(s.entries, s.entries[0])
		}, "started twice 1"},
		{"a turn of a limited account", func(s *scene) { s.putOff(2 * time.Second) }, "ran while limited 1"},
		{"a turn of another team of a limited account", func(s *scene) {
			s.putOff(0)
			s.records[1].Team = "t3"
			s.records[1].History[1].At = s.records[0].History[2].At.Add(time.Second)
		}, "ran while limited 1"},
		{"failed since its account was limited, which it was not", func(s *scene) {
			s.end("failed").OnLimit = "fail"
		}, "ends without proof 1"},
		{"sent again without a kill", func(s *scene) { s.sendAgain() }, "unknown without a kill 1"},
		{"not sent again", func(s *scene) {
			s.end("unknown").OnUnknown = "retry"
			s.notes.kill("p-1", "t1")
		}, "lost 1"},
		{"done without an end", func(s *scene) { s.entries = append(s.entries[:1], s.entries[2:]...) }, "ends without proof 1"},
		{"done though interrupted", func(s *scene) { s.entries[1].Text = "interrupted" }, "ends without proof 1"},
		{"failed without a failure", func(s *scene) { s.end("failed") }, "ends without proof 1"},
		{"failed though only another agent was killed", func(s *scene) { s.end("failed"); s.notes.kill("p-2", "t1") }, "ends without proof 1"},
		{"failed before its turn though no agent of its team was killed", func(s *scene) {
			s.failsToStart()
			s.notes.kill("p-7", "t2")
		}, "ends without proof 1"},
		{"failed before its turn though the killed agent had begun one", func(s *scene) {
			s.failsToStart()
			s.notes.kill("p-2", "t1")
		}, "ends without proof 1"},
		{"cancelled though answered", func(s *scene) { s.end("cancelled") }, "ends without proof 1"},
		{"expired and run", func(s *scene) { s.end("expired") }, "ran after its end 1"},
		{"unknown without a kill", func(s *scene) { s.end("unknown") }, "unknown without a kill 1"},
		{"the answer of another", func(s *scene) { s.records[0].answer = "id-b" }, "wrong answers 1"},
		{"a sender with another's answer", func(s *scene) { s.notes.answered(s.first, "id-a", "id-b") }, "wrong answers 1"},
		{"an end that changed", func(s *scene) { s.notes.told["id-a"] = []string{"cancelled"} }, "ends changed 1"},
		{"an end that changed before clients", func(s *scene) { s.notes.ended("id-a", "unknown"); s.notes.ended("id-a", "done") }, "ends changed 1"},
		{"sent again by nobody", func(s *scene) { s.wantedAgain(); delete(s.notes.retries, "r-1") }, "started twice 2"},
		{"sent again twice for one request", func(s *scene) {
			s.wantedAgain()
			h := s.records[0].History
			s.records[0].History = append(h[:5:5], append([]ipc.Change{{State: "unknown", By: "recovery"}}, h[3:]...)...)
			s.notes.kill("p-3", "t1")
		}, "started twice 1"},
		{"sent again as another message by nobody", func(s *scene) {
			s.records = append(s.records, s.records[0])
			s.records[2].ID, s.records[2].RetryOf = "id-c", "id-a"
		}, "started twice 1"},
		{"resolved by nobody", func(s *scene) { s.resolvedAs("done"); clear(s.notes.resolved) }, "ends changed 1"},
		{"resolved in another way", func(s *scene) {
			s.resolvedAs("failed")
			s.records[0].State, s.records[0].History[3].State = "cancelled", "cancelled"
			delete(s.notes.told, "id-a")
		}, "ends changed 1"},
		{"a client told of an end that nobody has decided", func(s *scene) { s.notes.told["id-a"] = []string{"unknown"} }, "ends changed 1"},
		{"a picture that is lost", func(s *scene) { s.first.text.file = true }, "lost 1"},
		{"a deadline that moved", func(s *scene) { s.expires(time.Second); s.first.send.TTL = 2000 }, "deadlines moved 1"},
		{"a deadline that is lost", func(s *scene) { s.expires(time.Second); s.records[0].Deadline = nil }, "deadlines moved 1"},
		{"a turn after its deadline", func(s *scene) { s.expires(time.Millisecond) }, "deadlines moved 1"},
		{"a turn while its session is held", func(s *scene) { s.isHeld() }, "ran while held 1"},
		{"a turn while its session was held", func(s *scene) {
			s.isHeld()
			s.wantedAgain()
			s.records[0].History[3].At = time.Unix(30, 0)
		}, "ran while held 1"},
		{"a step after the end", func(s *scene) {
			s.records[0].History = append(s.records[0].History, ipc.Change{State: "done"})
		}, "ends changed 1"},
		{"still queued", func(s *scene) {
			r := &s.records[0]
			r.State, r.History = "queued", r.History[:1]
			delete(s.notes.told, r.ID)
			s.entries = s.entries[2:]
		}, "not ended 1"},
		{"out of order", func(s *scene) {
			s.second.submitted, s.second.accepted, s.first.submitted, s.first.accepted = 1, 2, 3, 4
		}, "out of order 1"},
		{"too many agents", func(s *scene) {
			s.entries = append(s.entries, claudetest.Entry{Kind: "V", Text: "4 processes live, 3 allowed"})
		}, "bound breaches 1"},
		{"two agents in one conversation", func(s *scene) {
			s.entries = append(s.entries, claudetest.Entry{Kind: "V", Text: "session is held by another process"})
		}, "conversations shared 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			c.do(s)
			r := s.judge()
			if len(r.problems) == 0 || !strings.Contains(r.summary()+",", ", "+c.want+",") && !strings.Contains(r.summary(), "; "+c.want+",") {
				t.Errorf("want %s, got %q\n%s", c.want, r.problems, r.summary())
			}
		})
	}
}

func TestOracleWantsTurnsThatRanAtAKill(t *testing.T) {
	s := newScene()
	s.records[0].History[2].By = ""
	if r := s.judge(); len(r.problems) != 1 {
		t.Errorf("got %q", r.problems)
	}
}

func TestOracleAllowsWhatAKillExplains(t *testing.T) {
	s := newScene()
	s.sendAgain()
	s.notes.kill("p-1", "t1")
	if r := s.judge(); len(r.problems) > 0 || r.done != 2 || r.retried != 1 || r.back != 1 {
		t.Errorf("got %q\n%s", r.problems, r.summary())
	}
}

func TestOracleAllowsWhatPersonsDecide(t *testing.T) {
	for name, do := range map[string]func(*scene){
		"again":            func(s *scene) { s.wantedAgain() },
		"again, told late": func(s *scene) { s.wantedAgain(); s.notes.ended("id-a", "unknown") },
		"done":             func(s *scene) { s.resolvedAs("done"); s.notes.answered(s.first, "id-a", "") },
		"cancelled":        func(s *scene) { s.resolvedAs("cancelled"); s.notes.ended("id-a", "unknown") },
		"failed in its start": func(s *scene) {
			s.failsToStart()
			s.notes.kill("p-7", "t1")
		},
		"expires later": func(s *scene) { s.expires(time.Minute) },
	} {
		s := newScene()
		s.records[1].History[2].By = "recovery"
		do(s)
		if r := s.judge(); len(r.problems) > 0 {
			t.Errorf("%s: got %q\n%s", name, r.problems, r.summary())
		}
	}
}

// wantedAgain has the agent of the first message killed in its turn, and the message done
// in a second attempt, which a person wants.
func (s *scene) wantedAgain() {
	r := &s.records[0]
	r.Process = "p-3"
	r.History = []ipc.Change{
		{State: "queued"}, {State: "running", Process: "p-1"}, {State: "unknown", By: "recovery", At: time.Unix(10, 0)},
		{State: "queued", By: aPerson, Request: "r-1"}, {State: "running", Process: "p-3"}, {State: "done"},
	}
	s.notes.retry("id-a", "r-1")
	s.notes.kill("p-1", "t1")
	s.entries[1].Kind = "X"
	s.entries = append(s.entries,
		claudetest.Entry{Kind: "B", UUID: "u", Process: "p-3", Text: s.first.text.token},
		claudetest.Entry{Kind: "E", UUID: "u", Process: "p-3", Text: "success"})
}

// resolvedAs has the agent of the first message killed, and a person say how it ended.
func (s *scene) resolvedAs(state string) {
	r := s.end(state)
	r.History = append(r.History[:2], ipc.Change{State: "unknown", By: "recovery"}, ipc.Change{State: state, By: aPerson})
	r.answer = ""
	s.notes.resolve("id-a", state)
	s.notes.kill("p-1", "t1")
	s.entries[1].Kind = "X"
}

// failsToStart has no agent for the first message.
func (s *scene) failsToStart() {
	r := s.end("failed")
	r.Process, r.Team = "", "t1"
	r.History = append(r.History[:1], r.History[2])
	s.entries = s.entries[3:]
}

// expires gives the first message so long to begin; it takes a second.
func (s *scene) expires(after time.Duration) {
	r := &s.records[0]
	s.first.send.TTL = after.Milliseconds()
	due := r.Accepted.Add(after)
	r.Deadline = &due
	r.History[1].At = r.Accepted.Add(time.Second)
}

// isHeld has the first message unknown, and the second one begin after that.
func (s *scene) isHeld() {
	r := s.end("unknown")
	r.OnUnknown = "hold"
	r.History[2].At = time.Unix(10, 0)
	s.records[1].History[1].At = time.Unix(20, 0)
	s.notes.kill("p-1", "t1")
}

// sendAgain has the agent of the first message gone in its turn, and the message done in
// a second attempt, which a first agent for it did not take.
func (s *scene) sendAgain() {
	r := &s.records[0]
	r.OnUnknown, r.Process = "retry", "p-3"
	r.History = []ipc.Change{
		{State: "queued"}, {State: "running", Process: "p-1"}, {State: "unknown", By: "recovery"},
		{State: "queued", By: "on_unknown"}, {State: "running", Process: "p-2"}, {State: "queued"}, {State: "running", Process: "p-3"}, {State: "done"},
	}
	s.entries[1].Kind = "X"
	s.entries = append(s.entries,
		claudetest.Entry{Kind: "B", UUID: "u", Process: "p-3", Text: s.first.text.token},
		claudetest.Entry{Kind: "E", UUID: "u", Process: "p-3", Text: "success"})
}
