package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecode: no panic, no verdict on JSON but that of encoding/json, and what
// is accepted says the same when it is sent again.
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
		if r.id != nil && !json.Valid(r.id) {
			t.Fatalf("id %q is not JSON", r.id)
		}
		if answer := appendError(nil, r.id, Errorf(1, "%s", line)); !json.Valid(answer) || bytes.Count(answer, []byte("\n")) != 1 {
			t.Fatalf("answer %q", answer)
		}
		if bad != nil {
			return
		}
		var params any
		if r.params != nil {
			params = json.RawMessage(r.params)
		}
		again, err := appendRequest(nil, r.id, r.method, params)
		if err != nil {
			t.Fatal(err)
		}
		r2, bad := parseRequest(bytes.TrimSuffix(again, []byte("\n")))
		if bad != nil || !bytes.Equal(r.id, r2.id) || r.method != r2.method {
			t.Fatalf("sent again as %q: %v", again, bad)
		}
		if !bytes.ContainsRune(r.params, '\n') && !bytes.Equal(r.params, r2.params) {
			t.Fatalf("params %q sent again as %q", r.params, r2.params)
		}
		c := &Call{Method: r.method, Params: r.params, conn: &conn{srv: NewServer(Options{})}}
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
		e, err := parseEnvelope(line, MaxAnswerDepth)
		if err != nil || e.problem != "" {
			return
		}
		var r Reply
		var raw json.RawMessage
		for _, result := range []any{nil, &r, &raw, new(Status)} {
			a := answer{result: e.member[memberResult], err: e.member[memberError]}
			c := &Client{in: lines{limit: MaxAnswer}}
			if c.into(a, "m", result) == nil && a.result == nil && result != nil {
				t.Fatalf("%s: neither result nor error was taken for an answer", line)
			}
		}
		if raw != nil && !json.Valid(raw) {
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
			if r != '"' && r != '\\' && escaped(r) {
				t.Fatalf("%q: %U is left as it is", s, r)
			}
		}
	})
}

func FuzzUnquote(f *testing.F) {
	for _, s := range texts {
		f.Add(QuoteString(nil, s))
	}
	f.Add([]byte(`"\ud83d\ude00\ud83d\u0041"`))
	f.Fuzz(func(t *testing.T, raw []byte) { checkUnquote(t, raw) })
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
				lasting, held := l.take(line)
				if string(lasting) != strings.TrimSuffix(want[i], "\r") {
					t.Fatalf("line %d taken: got %q", i, lasting)
				}
				reserved -= held
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
		return 0, errBroken
	}
	n := copy(p[:min(len(p), r.step)], r.text)
	r.text = r.text[n:]
	return n, nil
}
