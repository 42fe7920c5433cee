package transcript

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindRewind(t *testing.T) {
	const (
		one     = `{"type":"user","uuid":"u1","parentUuid":null,"message":{"content":"one"}}` + "\n" + `{"type":"attachment","uuid":"x1","parentUuid":"u1"}` + "\n" + `{"type":"assistant","uuid":"a1","parentUuid":"x1"}` + "\n"
		tool    = `{"type":"user","uuid":"u2","parentUuid":"a1","message":{"content":[{"type":"image"},{"type":"text","text":"two"}]}}` + "\n" + `{"type":"assistant","uuid":"a2","parentUuid":"u2"}` + "\n" + `{"type":"user","uuid":"r2","parentUuid":"a2","message":{"content":[{"type":"tool_result","content":"no"}]}}` + "\n" + `{"type":"assistant","uuid":"a3","parentUuid":"r2"}` + "\n"
		refused = `{"type":"user","uuid":"u4","parentUuid":"a3","message":{"content":"bad"}}` + "\n" + `{"type":"assistant","uuid":"e4","parentUuid":"u4","isApiErrorMessage":true}` + "\n"
		again   = `{"type":"user","uuid":"u5","parentUuid":"e4","message":{"content":"worse"}}` + "\n" + `{"type":"assistant","uuid":"e5","parentUuid":"u5","isApiErrorMessage":true}` + "\n"
		noise   = `{"type":"assistant","uuid":"s1","parentUuid":"u1","isSidechain":true}` + "\n" + `{"type":"last-prompt"}` + "\nno JSON\n" + `{"half`
	)
	for name, c := range map[string]struct {
		text, from string
		n          int
		want       Rewind
	}{
		"a turn with a tool":            {one + tool + noise, "", 0, Rewind{"a1", 1, "one"}},
		"what the API refused":          {one + tool + refused + again + noise, "", 0, Rewind{"a3", 2, "two"}},
		"what it refused before":        {one + tool + refused + strings.ReplaceAll(again, `,"isApiErrorMessage":true`, ""), "", 0, Rewind{"a3", 2, "two"}},
		"as many as were asked for":     {one + tool + refused + again, "", 1, Rewind{"e4", 1, "bad"}},
		"three":                         {one + tool + refused + again, "", 3, Rewind{"a1", 3, "one"}},
		"of one that was rewound":       {one + tool + refused + again, "a3", 0, Rewind{"a1", 1, "one"}},
		"nothing is left":               {one + noise, "", 0, Rewind{}},
		"more than there are":           {one + tool, "", 7, Rewind{}},
		"of one that is not there":      {one + tool, "nowhere", 0, Rewind{}},
		"nothing but an empty file":     {"", "", 0, Rewind{}},
		"a circle":                      {`{"type":"user","uuid":"u","parentUuid":"a","message":{"content":"x"}}` + "\n" + `{"type":"assistant","uuid":"a","parentUuid":"u"}`, "", 0, Rewind{}},
		"an answer that was broken off": {one + strings.ReplaceAll(tool, `"type":"assistant"`, `"type":"system"`) + refused, "", 0, Rewind{}},
	} {
		path := filepath.Join(t.TempDir(), "t.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := FindRewind(path, c.from, c.n)
		if got != c.want || errors.Is(err, ErrNoRewind) != (c.want == Rewind{}) {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	if _, err := FindRewind(filepath.Join(t.TempDir(), "none"), "", 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
