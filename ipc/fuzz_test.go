package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"iris/config/sys"
)

// FuzzDecode: no panic, the same verdict on JSON as encoding/json, and an accepted
// message has the same meaning when it is sent again.
func FuzzDecode(f *testing.F) {
	for _, c := range conformance {
		f.Add([]byte(c.line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, bad := parseRequest(line)
		if bad != nil && bad.Data != nil && bad.Data.Reason == "depth" {
			return // the rest was not looked at
		}
		valid := json.Valid(line) && utf8.Valid(line)
		if bad != nil && bad.Code == CodeParse == valid {
			t.Fatalf("valid JSON: %v, answer %v", valid, bad)
		}
		if r.ID != nil && !json.Valid(r.ID) {
			t.Fatalf("id %q is not JSON", r.ID)
		}
		if answer := appendError(nil, r.ID, Errorf(1, "%s", line)); !json.Valid(answer) || bytes.Count(answer, []byte("\n")) != 1 {
			t.Fatalf("answer %q", answer)
		}
		if bad != nil {
			return
		}
		var params any
		if r.Params != nil {
			params = json.RawMessage(r.Params)
		}
		again, err := appendRequest(nil, r.ID, r.Method, params)
		if err != nil {
			t.Fatal(err)
		}
		r2, bad := parseRequest(bytes.TrimSuffix(again, []byte("\n")))
		if bad != nil || !bytes.Equal(r.ID, r2.ID) || r.Method != r2.Method {
			t.Fatalf("sent again as %q: %v", again, bad)
		}
		var first bytes.Buffer
		if json.Compact(&first, r.Params); !bytes.Equal(first.Bytes(), r2.Params) {
			t.Fatalf("params %q sent again as %q", r.Params, r2.Params)
		}
		c := &Call{Method: r.Method, Params: r.Params, conn: &conn{srv: NewServer(Options{})}}
		var p Send
		if err := c.Bind(&p); err != nil && !errors.Is(err, &Error{Code: CodeInvalidParams}) {
			t.Fatalf("Bind: %v", err)
		}
	})
}

// FuzzAnswer: the client survives any daemon.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"text":"a"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"a"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		raw := json.RawMessage("unset")
		for _, result := range []any{&raw, new(Reply), new(Status), new(ProcessList), nil} {
			c := &Client{in: lines{r: bytes.NewReader(append(slices.Clone(line), '\n')), limit: MaxAnswer}}
			c.OnNotify = func(_ string, params json.RawMessage) { json.Unmarshal(params, new(Output)) }
			failed, err := c.await("1", "m", result)
			if failed == nil && err == nil && !json.Valid(line) && !bytes.Contains(line, []byte("\n")) {
				t.Fatalf("%q was taken for an answer", line)
			}
		}
		if string(raw) != "unset" && !json.Valid(raw) {
			t.Fatalf("result %q is not JSON", raw)
		}
	})
}

func FuzzQuoteString(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkQuote(t, s)
		for _, r := range string(QuoteString(nil, s)) {
			if r != '"' && r != '\\' && sys.Steers(r) {
				t.Fatalf("%q: %U is left as it is", s, r)
			}
		}
	})
}

// FuzzLines: the lines are the same however their bytes come in.
func FuzzLines(f *testing.F) {
	f.Add("a\nbc\r\n\nd", 1)
	f.Add(strings.Repeat("x", 5000)+"\n"+strings.Repeat("y", 9000)+"\nz\n", 4096)
	f.Fuzz(func(t *testing.T, text string, step int) {
		const limit = 8000
		reserved := 0
		l := lines{r: &stepReader{text, max(1, step%10_000)}, limit: limit, reserve: func(n int) error { reserved += n; return nil }}
		want := strings.Split(text, "\n")
		for i := 0; ; i++ {
			line, err := l.next()
			if reserved < 0 || reserved > 3*limit {
				t.Fatalf("%d bytes reserved", reserved)
			}
			if err != nil {
				if err == errTooLong && len(want[i]) <= limit {
					t.Fatalf("line %d of %d bytes is too long", i, len(want[i]))
				}
				if err != errTooLong && i != len(want)-1 {
					t.Fatalf("line %d of %d: %v", i, len(want), err)
				}
				break
			}
			if len(want[i]) > limit || i == len(want)-1 || string(line) != strings.TrimSuffix(want[i], "\r") {
				t.Fatalf("line %d: got %q, want %q", i, line, want[i])
			}
			if i%2 == 0 {
				l.done()
			}
		}
		l.drop()
		if reserved != 0 {
			t.Fatalf("%d bytes are still reserved at the end", reserved)
		}
	})
}

// A stepReader gives its text a few bytes at a time.
type stepReader struct {
	text string
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p[:min(len(p), r.step)], r.text)
	r.text = r.text[n:]
	return n, nil
}
