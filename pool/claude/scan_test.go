package claude

import (
	"testing"
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

// A later program may change the shape of a member that nobody needs: the rest counts.
func TestResultWithAMemberOfAnotherShape(t *testing.T) {
	r, ok := parseResult([]byte(`{"type":"result","subtype":"success","num_turns":"two","usage":[1],"origin":null,"local_command":null,"result":"\ud83c\udf0d \ud83c"}`))
	if !ok || r.Text != "\U0001F30D \uFFFD" || r.Turns != 0 || r.origin() != "" || given(r.Command) {
		t.Errorf("got %+v, %v", r, ok)
	}
	for _, line := range []string{`{"type":"result"}`, `{"type":"result","subtype":"success","result":"x`, `[]`, ``} {
		if r, ok := parseResult([]byte(line)); ok {
			t.Errorf("%s: got %+v", line, r)
		}
	}
}
