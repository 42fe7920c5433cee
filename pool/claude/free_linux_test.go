package claude

import (
	"strings"
	"testing"
)

// A hole in the output of a running turn ends before the next line: otherwise a later
// daemon would read that line as the end of the line with the hole.
func TestGivingBackKeepsTheNextLineApart(t *testing.T) {
	s, stdout, stderr, err := createSpool(t.TempDir(), "s", "p")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(stdout, stderr, s.out)
	const size = 3 << 20 // a whole number of blocks
	before := `{"type":"assistant","x":"`
	line := before + strings.Repeat("x", size-len(before)-len("\"}\n")) + "\"}\n"
	stdout.WriteString(line + `{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"mine"}` + "\n")
	p := &Process{spool: s, current: current{turn: &activeTurn{freed: 16 * block}}, marks: marks{read: size}}
	p.freeLocked()
	if info, err := s.out.Stat(); err != nil || allocated(info) > size/2 {
		t.Fatalf("nothing was given back: %d bytes, %v", allocated(info), err)
	}
	if e, err := ReadOutcome(s.dir, "p", 0, "", false); err != nil || e.Result == nil || e.Result.Text != "mine" {
		t.Errorf("got %+v, %v", e, err)
	}
}

// So does one after the turn, up to where a stream is: who goes on there would take the next
// line for the end of one with a hole.
func TestGivingBackKeepsTheLineAfterAStream(t *testing.T) {
	s, stdout, stderr, err := createSpool(t.TempDir(), "s", "p")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(stdout, stderr, s.out)
	const had = 4 * block
	before := `{"type":"assistant","x":"`
	stdout.WriteString(before + strings.Repeat("x", had-len(before)-len("\"}\n")) + "\"}\n" + `{"type":"result"}` + "\n")
	const end = had + int64(len(`{"type":"result"}`)+1)
	at := newStream(s.out, 0, "", had)
	p := &Process{spool: s, marks: marks{read: end, stateAt: end, streams: map[*Stream]struct{}{at: {}}}}
	p.freeLocked()
	if s.free == 0 {
		t.Fatal("nothing was given back")
	}
	var g got
	if err := newStream(s.out, 0, "", had).Finish(g.emit); err != nil || g.gaps != 0 || len(g.lines) != 1 {
		t.Errorf("got %q and %d gaps, %v", g.lines, g.gaps, err)
	}
}

// The last line about the agent's state is kept, however much the agent writes after it:
// without it the agent would count as idle, and a turn that had begun as one that had not.
func TestGivingBackKeepsTheLastState(t *testing.T) {
	s, stdout, stderr, err := createSpool(t.TempDir(), "s", "p")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(stdout, stderr, s.out)
	other := strings.Repeat(`{"type":"system","subtype":"status"}`+"\n", 1<<15)
	running := `{"type":"system","subtype":"session_state_changed","state":"running"}` + "\n"
	stdout.WriteString(other + running + other)
	size := int64(2*len(other) + len(running))
	p := &Process{spool: s, marks: marks{read: size, stateAt: int64(len(other))}}
	p.freeLocked()
	if info, err := s.out.Stat(); err != nil || allocated(info) > size*3/4 {
		t.Fatalf("nothing was given back: %d of %d bytes, %v", allocated(info), size, err)
	}
	if e, err := ReadOutcome(s.dir, "p", size, "", false); err != nil || e.NotBegun {
		t.Errorf("got %+v, %v", e, err)
	}
}
