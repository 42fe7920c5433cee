package claude

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"iris/pool/claude/claudetest"
)

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		line, typ, sub string
		ok             bool
	}{
		{`{"type":"result","subtype":"success","x":[}`, "result", "success", true},
		{`{"subtype":"init","type":"system"}`, "system", "init", true},
		{`{"a":{"type":"no"},"b":"\"type\":\"no\"","type":"assistant"}`, "assistant", "", true},
		{`{"\u0074ype":"\u0061b"}`, "ab", "", true},
		{`{ "type" : "user" , "x" : 1 } `, "user", "", true},
		{`{"x":"\\\\","type":"user"}`, "user", "", true},
		{`{"type":1}`, "", "", false},
		{`{"type":null,"x":1}`, "", "", false},
		{`{}`, "", "", false},
		{``, "", "", false},
		{`[]`, "", "", false},
		{`not json`, "", "", false},
		{`{"x":"type":"user"}`, "", "", false},
		{`{"x":[1,2,"]"],"y":{"a":"}"},"type":"user"`, "user", "", true},
		{`{"x`, "", "", false},
		{`{"x":`, "", "", false},
		{`{"x":"\`, "", "", false},
		{`{"x":1,}`, "", "", false},
		{`{"x" 1}`, "", "", false},
		{`{"x":,"type":"a"}`, "", "", false},
	} {
		typ, sub, ok := route([]byte(c.line))
		if typ != c.typ || sub != c.sub || ok != c.ok {
			t.Errorf("%s: got %q %q %v", c.line, typ, sub, ok)
		}
	}
}

func TestUnquote(t *testing.T) {
	for _, s := range []string{
		"", "plain", "a\"b\\c/d\b\f\n\r\t", "\x00\x01\x1f", "Grüße 世界 🌍", "\u2028\u2029<>&", "\U0010FFFF", strings.Repeat("\\\"", 1000), claudetest.Text(70_000),
	} {
		raw, _ := json.Marshal(s)
		if got, ok := unquote(raw); !ok || got != s {
			t.Errorf("got %.60q %v, want %.60q", got, ok, s)
		}
	}
	for _, raw := range []string{`"\ud83c\udf0d"`, `"\ud83c"`, `"\udf0d\ud83c"`, `"\ud83cx"`, `"\ud83c\n"`, "\"a\xffb\"", `"\/\u0041"`} {
		var want string
		json.Unmarshal([]byte(raw), &want)
		if got, ok := unquote([]byte(raw)); !ok || got != want {
			t.Errorf("%s: got %q %v, want %q", raw, got, ok, want)
		}
	}
	for _, raw := range []string{``, `"`, `x`, `"a`, `a"`, `"\x"`, `"\u12"`, `"\u12G4"`, `"\"`} {
		if got, ok := unquote([]byte(raw)); ok {
			t.Errorf("%s: got %q", raw, got)
		}
	}
}

// FuzzFields holds the scanner to encoding/json: what that accepts, the
// scanner cuts into the same members.
func FuzzFields(f *testing.F) {
	for _, c := range recordings {
		for line := range bytes.Lines(recorded(f, c.name)) {
			f.Add(line)
		}
	}
	f.Add([]byte(`{"a":"\ud83c\udf0d\\\"","b":[{}],"c":-1.5e3,"d":null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal(line, &want) == nil && want != nil
		got := map[string]string{}
		ok := fields(line, func(key, val []byte) bool {
			got[strings.ToValidUTF8(string(key), "\uFFFD")] = string(val)
			return true
		})
		if !valid || !utf8.Valid(line) {
			return
		}
		if !ok || !maps.EqualFunc(got, want, func(g string, w json.RawMessage) bool { return g == string(w) }) {
			t.Fatalf("got %v %q, want %q", ok, got, want)
		}
		for _, w := range want {
			var s string
			if w[0] != '"' || json.Unmarshal(w, &s) != nil {
				continue
			}
			if u, ok := unquote(w); !ok || u != s {
				t.Fatalf("unquote %s: got %q %v, want %q", w, u, ok, s)
			}
		}
	})
}
