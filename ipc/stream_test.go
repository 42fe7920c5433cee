package ipc

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// A line arrives as it was written, byte for byte, whatever is in it.
func TestOutputArrivesAsItIs(t *testing.T) {
	lines := []string{
		`{"type":"system"}`, `{ "b" : 1.50e+3 , "a":"<&>\u2028\u003c\/ ü ` + "\u202e\u009b\x7f" + `" }`, `{"x":"` + strings.Repeat("y", 100_000) + `"}`,
		strings.Repeat(`{"a":`, outputDepth-1) + "1" + strings.Repeat("}", outputDepth-1),
	}
	for _, line := range lines {
		if !Embeds([]byte(line)) {
			t.Fatalf("%.60s: does not embed", line)
		}
		got := overTheWire(t, Output{ID: "m", Seq: 1 << 40, Line: json.RawMessage(line)})
		if string(got.Line) != line || got.Seq != 1<<40 || got.ID != "m" || got.Part != nil {
			t.Errorf("got %.80q, want %.80q", got.Line, line)
		}
	}
	for _, part := range []string{"", "\x00\xff", `{"torn":"`, strings.Repeat("x", 100_000)} {
		if Embeds([]byte(part)) {
			t.Errorf("%.60q embeds", part)
		}
		got := overTheWire(t, Output{ID: "m", Part: []byte(part)})
		if !bytes.Equal(got.Part, []byte(part)) || got.Seq != 0 || got.Line != nil {
			t.Errorf("got %.80q, want %.80q", got.Part, part)
		}
	}
	for _, bad := range []string{`{"a":1}x`, "{\"a\":\"\xff\"}", strings.Repeat("[", outputDepth+1) + strings.Repeat("]", outputDepth+1), "{\"a\":\x00}"} {
		if Embeds([]byte(bad)) {
			t.Errorf("%.60q embeds", bad)
		}
	}
}

// overTheWire is an output as a client gets it.
func overTheWire(t *testing.T, o Output) Output {
	t.Helper()
	frame, err := appendRequest(nil, nil, NotifyOutput, o)
	must(t, err)
	if bytes.IndexByte(frame, '\n') != len(frame)-1 {
		t.Fatal("more than one line")
	}
	var a answer
	must(t, decodeAnswer(frame, &a))
	var got Output
	must(t, json.Unmarshal(a.Params, &got))
	return got
}
