package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func scanAll(data []byte, depth int) error {
	s := scanner{data: data, max: depth}
	return s.finish(s.value())
}

func TestScannerAcceptsWhatJSONDoes(t *testing.T) {
	for _, s := range []string{
		"", " ", "{}", "[]", " { } ", "[ ]", `{"a":1}`, `{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `[1 2]`, `{"a" 1}`, `{"a":}`, `{a:1}`, `{1:1}`,
		"{]", "[}", "[1}", `{"a":1]`, "{", "[", `{"a`, `{"a"`, `{"a":`, `{"a":1`, "]", "}", ",", ":", "true", "tru", "truex", "True", "null", "nul",
		"0", "-0", "-", "01", "1.", ".1", "1.5", "1e", "1e5", "1E+5", "1e-05", "+1", "0x1", "1_000", "NaN", "Infinity", "- 1", "1.e1",
		`"\u00e4"`, `"\u00g4"`, `"\'"`, "\"\t\"", "\"\x7f\"", "\"\xff\"", "[[[[]]]]", "[[[[]]]", "[{}]", `{"a":[{"b":[]}]}`, "1 1", "{} {}", "[]x",
		"\ufeff{}", "\x00", "{\"a\":\x001}", "// x", "/**/1", "\v1", "\u00a01",
	} {
		if got, want := scanAll([]byte(s), 64) == nil, json.Valid([]byte(s)); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestScannerKnowsItsDepth(t *testing.T) {
	for _, open := range []string{"[", `{"a":`} {
		shut := map[string]string{"[": "]", `{"a":`: "}"}[open]
		nested := func(n int) []byte {
			return []byte(strings.Repeat(open, n) + "1" + strings.Repeat(shut, n))
		}
		for _, depth := range []int{1, 63, 64, 65, MaxAnswerDepth} {
			if err := scanAll(nested(depth), depth); err != nil {
				t.Errorf("%s %d of %d levels: %v", open, depth, depth, err)
			}
			if err := scanAll(nested(depth+1), depth); !errors.Is(err, errDepth) {
				t.Errorf("%s %d of %d levels: got %v", open, depth+1, depth, err)
			}
		}
		if err := scanAll(nested(1_000_000), 64); !errors.Is(err, errDepth) {
			t.Errorf("a million levels: got %v", err)
		}
		if err := scanAll([]byte(strings.Repeat(open, 1_000_000)), 64); !errors.Is(err, errDepth) {
			t.Errorf("a million levels that do not end: got %v", err)
		}
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	data, _ := json.Marshal(map[string]any{"a": []any{1, "x\n", nil, map[string]any{"b": true}}})
	if n := testing.AllocsPerRun(100, func() { scanAll(data, 64) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReplyOnTheWire(t *testing.T) {
	for _, text := range []string{"", `""`, `"done\n"`, "null-free"} {
		r := Reply{ID: `a"text":"b`, Team: "api", Outcome: "success", CostUSD: 0.25, Usage: Usage{Input: 3},
			Denials: []Denial{{Tool: "Bash", Input: json.RawMessage(`{"text":"no"}`)}}}
		if text != "null-free" {
			r.Text = json.RawMessage(text)
		}
		data, err := r.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		var theirs, ours Reply
		if err := json.Unmarshal(data, &theirs); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if err := ours.ParseJSON(data); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if len(r.Text) == 0 {
			r.Text = json.RawMessage(`""`)
		}
		if !reflect.DeepEqual(theirs, r) || !reflect.DeepEqual(ours, r) {
			t.Errorf("sent %+v\nencoding/json reads %+v\nwe read            %+v", r, theirs, ours)
		}
	}
}

func TestReplyWithAForeignText(t *testing.T) {
	var r Reply
	for _, data := range []string{`{"text":1}`, `{"text":{}}`, `[]`, `{"text":"x"`, `{"id":7}`} {
		if err := r.ParseJSON([]byte(data)); err == nil {
			t.Errorf("%s: no error", data)
		}
	}
}

func TestResultStaysOnItsLine(t *testing.T) {
	line, err := appendResult(nil, []byte("1"), json.RawMessage("{\n  \"a\": [1,\n 2]\n}"))
	if err != nil || string(line) != `{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}`+"\n" {
		t.Errorf("got %s, %v", line, err)
	}
	if line, _ := appendResult(nil, []byte("1"), json.RawMessage(nil)); !bytes.Contains(line, []byte(`"result":{}`)) {
		t.Errorf("an empty one: got %s", line)
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	sent := Errorf(CodeFull, "queue of %q is full", "api")
	sent.Data = &Data{Reason: "queue-full", Hint: "try again later", ID: "m1"}
	e, err := parseEnvelope(bytes.TrimSpace(appendError(nil, []byte(`"x"`), sent)), MaxAnswerDepth)
	if err != nil || e.problem != "" {
		t.Fatal(err, e.problem)
	}
	got := new(Client).into(answer{err: e.member[memberError]}, "m", nil)
	if !reflect.DeepEqual(got, error(sent)) || !errors.Is(got, &Error{Code: CodeFull}) {
		t.Errorf("got %#v, want %#v", got, sent)
	}
}

func TestHelloIsWrittenAsEncodingJSONWould(t *testing.T) {
	type plain Hello
	for _, h := range []Hello{{}, {Protocol: Version, Version: "1.2.0"}, {Protocol: -1, Version: "a \"b\"\n\u00fc", PID: 4711, Config: "/c"}} {
		want, err := json.Marshal(plain(h))
		must(t, err)
		if got, err := h.AppendJSON(nil); err != nil || string(got) != string(want) {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
}
