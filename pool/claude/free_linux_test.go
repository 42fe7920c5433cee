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
