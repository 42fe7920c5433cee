package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iris/config"
	"iris/ipc"
)

// The beginnings of a subscription after event 57 of a stream, and the report of
// each.
func TestGapsAreTold(t *testing.T) {
	for _, c := range []struct {
		what  string
		known string // stream
		begin ipc.Begin
		text  string
		json  string
	}{
		{"goes on", "a", ipc.Begin{Stream: "a", After: 57}, "", ""},
		{"first time", "", ipc.Begin{Stream: "a", After: 57}, "", ""},
		{"too slow", "a", ipc.Begin{Stream: "a", After: 900, Missed: 843},
			"iris: 843 events before number 901 are no longer kept\n", `{"type":"gap","after":57,"next":901}` + "\n"},
		{"another daemon", "a", ipc.Begin{Stream: "b"},
			"iris: the numbers begin anew: event 57 was another daemon's\n", `{"type":"gap","after":57,"next":1,"renumbered":true}` + "\n"},
		{"another daemon that has gone far", "a", ipc.Begin{Stream: "b", After: 60, Missed: 60},
			"iris: the numbers begin anew: event 57 was another daemon's\n", `{"type":"gap","after":57,"next":61,"renumbered":true}` + "\n"},
		{"a number of nobody's", "", ipc.Begin{Stream: "a"},
			"iris: the numbers begin anew: event 57 was another daemon's\n", `{"type":"gap","after":57,"next":1,"renumbered":true}` + "\n"},
	} {
		for _, asJSON := range []bool{false, true} {
			var stdout, stderr bytes.Buffer
			p := eventPrinter{stdout: &stdout, stderr: &stderr, json: asJSON, want: ipc.EventQuery{After: 57, Stream: c.known}}
			p.begin(c.begin)
			text, object := c.text, ""
			if asJSON {
				text, object = "", c.json
			}
			if stderr.String() != text || stdout.String() != object {
				t.Errorf("%s: got %q and %q", c.what, stderr.String(), stdout.String())
			}
			if next := p.want; next.After != c.begin.After || next.Stream != c.begin.Stream {
				t.Errorf("%s: goes on with %+v", c.what, next)
			}
		}
	}
}

// Where the filter has let nothing through, the reader goes on from where the
// daemon has looked.
func TestSlowReaderWithAFilterGoesOn(t *testing.T) {
	p := eventPrinter{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, want: ipc.EventQuery{Message: "x"}}
	p.begin(ipc.Begin{Stream: "a"})
	p.resume(1500)
	if next, begun := p.want, p.begins; next.After != 1500 || next.Message != "x" || next.Stream != "a" || begun != 1 {
		t.Errorf("got %+v, %d", next, begun)
	}
}

// The words of the command are those of the pool, which it does not link.
func TestEventTypesAreThoseOfThePool(t *testing.T) {
	source, err := os.ReadFile("../../pool/event.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`EventType += "([a-z-]+)"`).FindAllSubmatch(source, -1) {
		want = append(want, string(m[1]))
	}
	got := slices.Clone(eventTypes)
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The manual explains each type of events, and each word of notify_on.
func TestManualExplainsEveryEvent(t *testing.T) {
	text := newEventsCmd(&globals{}).Long
	for _, typ := range eventTypes {
		if !strings.Contains(text, "\n  "+typ+" ") {
			t.Errorf("iris-events(1) does not explain %s", typ)
		}
	}
	for _, k := range config.Keys() {
		for _, word := range k.Words {
			if k.Name == "notify_on" && !strings.Contains(configText, "\n  "+word+" ") {
				t.Errorf("iris-config(5) does not explain %q of notify_on", word)
			}
		}
	}
}
