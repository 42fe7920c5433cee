package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestNestingIsCounted(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `1`: 0, `"[{"`: 0, `"\"[{"`: 0, `"\\"[{`: 2, `{}`: 1, `[[],[[]]]`: 3, `{"a":[{"b":"]}"},[]]}`: 3, `]]][`: 0, `"\`: 0,
		strings.Repeat("[", 1_000_000): 1_000_000, strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65): 65,
	} {
		if got := nesting([]byte(text)); got != want {
			t.Errorf("%.40q: got %d, want %d", text, got, want)
		}
	}
}

func TestAnswerThatNestsTooDeepIsNone(t *testing.T) {
	for depth, ok := range map[int]bool{MaxAnswerDepth: true, MaxAnswerDepth + 1: false} {
		line := `{"id":1,"result":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}"
		if err := decodeAnswer([]byte(line), new(answer)); (err == nil) != ok {
			t.Errorf("%d levels: got %v", depth, err)
		}
	}
}

func TestRefusalsAreInPlainWords(t *testing.T) {
	for line, want := range map[string]string{
		`{"jsonrpc":"2.0","method":"m","trace":1}`:   `unknown field "trace"`,
		`{"jsonrpc":"2.0","method":1}`:               `field "method" takes a string, not a number`,
		`{"jsonrpc":"1.0","method":"m"}`:             `member "jsonrpc" is "2.0"`,
		``:                                           `not JSON: unexpected end of the text`,
		`{"jsonrpc":"2.0"`:                           `not JSON: unexpected end of the text`,
		`{"jsonrpc":"2.0"]`:                          `not JSON: invalid character ']' after object key:value pair at byte 17`,
		`{"jsonrpc":"2.0","method":"m"} {}`:          `not JSON: something follows the end of the object`,
		`{"jsonrpc":"2.0","method":"m"} x`:           `not JSON: something follows the end of the object`,
		`{"` + strings.Repeat("x", 1000) + `":1}`:    `unknown field "` + strings.Repeat("x", 85) + "...",
		`{"jsonrpc":"2.0","method":"m","params":[]}`: `params of m: named ones only, an object`,
	} {
		if _, err := parseRequest([]byte(line)); err == nil || err.Message != want {
			t.Errorf("%.60s: got %v, want %s", line, err, want)
		}
	}
	for params, want := range map[string]string{
		`{"teem":"a"}`:                  `params of m: unknown field "teem"`,
		`{"text":1}`:                    `params of m: field "text" takes a string, not a number`,
		`{"options":{"modle":"x"}}`:     `params of m: unknown field "modle"`,
		`{"options":{"max_turns":"x"}}`: `params of m: field "options.max_turns" takes a number, not a string`,
		`{"env_keys":"x"}`:              `params of m: field "env_keys" takes a list, not a string`,
	} {
		c := &Call{Method: "m", Params: json.RawMessage(params)}
		if err := c.Bind(new(Send)); !errors.Is(err, &Error{Code: CodeInvalidParams}) || err.Error() != want {
			t.Errorf("%s: got %v, want %s", params, err, want)
		}
	}
}

func TestReplyOnTheWire(t *testing.T) {
	for _, text := range texts {
		want := Reply{ID: `a"text":"b`, Team: "api", Outcome: "success", Text: strings.ToValidUTF8(text, "\ufffd"), CostUSD: 0.25, Usage: Usage{Input: 3},
			Denials: []Denial{{Tool: "Bash", Input: json.RawMessage(`{"text":"no"}`)}}}
		line, err := appendResult(nil, []byte("1"), want)
		must(t, err)
		var got Reply
		must(t, decodeAnswer(line, &answer{Result: &got}))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("sent %+v, got %+v", want, got)
		}
	}
}

// A result of another type is an error of its call; the connection goes on.
func TestResultOfAnotherType(t *testing.T) {
	c := dial(t, start(t, testServer(Options{})))
	var n int
	if err := c.Call(soon(t), "echo", nil, &n); err == nil || errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "result of echo") {
		t.Errorf("got %v", err)
	}
	mustCall(t, c, "echo", nil, nil)
}

func TestResultStaysOnItsLine(t *testing.T) {
	line, err := appendResult(nil, []byte("1"), json.RawMessage("{\n  \"a\": [1,\n 2]\n}"))
	if err != nil || string(line) != `{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}`+"\n" {
		t.Errorf("got %s, %v", line, err)
	}
	if line, _ := appendResult(nil, []byte("1"), nil); !bytes.Contains(line, []byte(`"result":{}`)) {
		t.Errorf("an empty one: got %s", line)
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	sent := Errorf(CodeFull, "queue of %q is full", "api")
	sent.Data = &Data{Reason: "queue-full", Hint: "try again later", ID: "m1"}
	c := &Client{in: lines{r: bytes.NewReader(appendError(nil, []byte(`"x"`), sent)), limit: MaxAnswer}}
	got, err := c.await(`"x"`, "m", nil)
	if err != nil || !reflect.DeepEqual(got, error(sent)) || !errors.Is(got, &Error{Code: CodeFull}) {
		t.Errorf("got %#v, %v, want %#v", got, err, sent)
	}
}
