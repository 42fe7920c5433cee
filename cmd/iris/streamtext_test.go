package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// viewInto is a textView whose stdout is a terminal in all but name.
func viewInto(out *bytes.Buffer) *textView {
	v := &textView{out: terminal.NewSafePrinter(out), team: "api"}
	v.tail = &lastByte{w: v.out}
	return v
}

func deltaLine(text string) []byte {
	data, _ := json.Marshal(text)
	return []byte(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":` + string(data) + `}},"parent_tool_use_id":null}`)
}

func textLine(text string) []byte {
	data, _ := json.Marshal(text)
	return []byte(`{"type":"assistant","message":{"model":"m","content":[{"type":"text","text":` + string(data) + `}]},"parent_tool_use_id":null}`)
}

func replyOf(text string) *ipc.Reply {
	return &ipc.Reply{Outcome: "success", Text: text}
}

// withEarlier is a reply that has answers before the last one.
func withEarlier(text string, earlier ...string) *ipc.Reply {
	r := replyOf(text)
	r.Earlier = earlier
	return r
}

// resultLine is one whose type is not at its head.
func resultLine(text string) []byte {
	data, _ := json.Marshal(text)
	return []byte(`{"duration_api_ms":1,"stop_reason":"end_turn","result":` + string(data) + `,"type":"result"}`)
}

// Text that could steer the terminal cannot, wherever it is cut into pieces.
func TestPiecesOfATextCannotSteerTheTerminal(t *testing.T) {
	const hostile = "a\x1b]0;x\x07b\u009b1m \x7f\u202e\r\nc\rd\te\u2066ü世\x1b[2J"
	var want bytes.Buffer
	v := viewInto(&want)
	v.line(textLine(hostile))
	v.end(replyOf(hostile))
	if got := want.String(); strings.ContainsAny(got, "\x1b\x07\x7f\u009b\u202e\u2066") || strings.Contains(got, "c\rd") {
		t.Fatalf("it steers: %q", got)
	}
	runes := []rune(hostile)
	for i := range runes {
		for j := i; j <= len(runes); j++ {
			var out bytes.Buffer
			v := viewInto(&out)
			for _, piece := range []string{string(runes[:i]), string(runes[i:j]), string(runes[j:])} {
				v.line(deltaLine(piece))
			}
			v.line(textLine(hostile))
			if v.end(replyOf(hostile)); out.String() != want.String() {
				t.Fatalf("cut at %d and %d: got %q, want %q", i, j, out.String(), want.String())
			}
		}
	}
}

func TestTextIsShownOnce(t *testing.T) {
	tool := []byte(`{"type":"assistant","message":{"model":"m","content":[{"type":"tool_use","name":"Bash"}]},"parent_tool_use_id":null}`)
	below := []byte(`{"type":"assistant","message":{"model":"m","content":[{"type":"text","text":"inner"}]},"parent_tool_use_id":"toolu_1"}`)
	failed := []byte(`{"type":"assistant","message":{"model":"<synthetic>","content":[{"type":"text","text":"API Error: 500"}]},"parent_tool_use_id":null}`)
	for _, c := range []struct {
		name  string
		lines [][]byte
		reply *ipc.Reply
		want  string
	}{
		{"whole", [][]byte{textLine("hi")}, replyOf("hi"), "hi\n"},
		{"in pieces", [][]byte{deltaLine("h"), deltaLine("i"), textLine("hi")}, replyOf("hi"), "hi\n"},
		{"with its end", [][]byte{deltaLine("hi\n"), textLine("hi\n")}, replyOf("hi\n"), "hi\n"},
		{"the end alone is missing", [][]byte{deltaLine("h"), textLine("hi")}, replyOf("hi"), "hi\n"},
		{"without the whole", [][]byte{deltaLine("h"), deltaLine("i")}, replyOf("hi"), "hi\n"},
		{"two texts", [][]byte{deltaLine("look"), textLine("look"), tool, deltaLine("done"), textLine("done")}, replyOf("done"), "look\n\ndone\n"},
		{"the same twice", [][]byte{textLine("a"), textLine("a")}, replyOf("a"), "a\n\na\n"},
		{"another answer", [][]byte{textLine("look")}, replyOf("{}"), "look\n\n{}\n"},
		{"an answer after an earlier one", [][]byte{deltaLine("launched"), textLine("launched"), resultLine("launched"), textLine("found"), resultLine("found")}, withEarlier("found", "launched"), "launched\n\nfound\n"},
		{"an earlier one that was not shown", nil, withEarlier("found", "launched", "still at it\n"), "launched\n\nstill at it\n\nfound\n"},
		{"only a reply", nil, replyOf("hi"), "hi\n"},
		{"nothing", nil, replyOf(""), ""},
		{"no reply", [][]byte{deltaLine("par")}, nil, "par\n"},
		{"an agent below", [][]byte{below, textLine("hi")}, replyOf("hi"), "hi\n"},
		{"failed", [][]byte{failed}, &ipc.Reply{Outcome: "api-error", Text: "API Error: 500"}, ""},
		{"garbage", [][]byte{[]byte(`{"type":5}`), []byte(`{}`), textLine("hi")}, replyOf("hi"), "hi\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			v := viewInto(&out)
			for _, line := range c.lines {
				if err := v.line(line); err != nil {
					t.Fatal(err)
				}
			}
			if err := v.end(c.reply); err != nil || out.String() != c.want {
				t.Errorf("got %q, %v, want %q", out.String(), err, c.want)
			}
		})
	}
}

// After a gap the answer is shown as a whole.
func TestAnswerIsWholeAfterAGap(t *testing.T) {
	var out bytes.Buffer
	v := viewInto(&out)
	v.line(deltaLine("one "))
	v.gap()
	v.line(deltaLine("three"))
	v.line(textLine("one two three"))
	v.end(withEarlier("one two three", "zero"))
	if want := "one \n\nthree\n\none two three\n\nzero\n\none two three\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestOrdinals(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 111: "111th", 122: "122nd"} {
		if got := ordinal(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
