package ipc

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
	"github.com/creachadair/jrpc2/handler"
)

// digest says of each answer its id and its code, or ok.
func digest(t *testing.T, lines []string) string {
	var out []string
	for _, line := range lines {
		var a struct {
			ID     json.RawMessage
			Result json.RawMessage
			Error  *struct{ Code int }
		}
		if strings.HasPrefix(line, "[") {
			out = append(out, "batch")
			continue
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Errorf("answer %q: %v", line, err)
			continue
		}
		if a.Error != nil {
			out = append(out, fmt.Sprintf("%s: %d", a.ID, a.Error.Code))
		} else {
			out = append(out, fmt.Sprintf("%s: ok", a.ID))
		}
	}
	return strings.Join(out, ", ")
}

func heardFromOracle(t *testing.T, line string) (got string) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		srv := jrpc2.NewServer(handler.Map{
			"echo": func(_ context.Context, r *jrpc2.Request) (any, error) {
				var p echoParams
				if err := r.UnmarshalParams(jrpc2.StrictFields(&p)); err != nil {
					return nil, err
				}
				return p, nil
			},
			"wait": func(ctx context.Context, _ *jrpc2.Request) (any, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}, nil).Start(channel.Line(far, far))
		k := newTalker(near)
		k.write(line)
		got = digest(t, k.heard())
		k.close()
		srv.Wait()
	})
	return got
}

func heardFromOurs(t *testing.T, line string) (got string) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		k.write(line)
		lines := k.heard()
		got = digest(t, lines)
		for _, l := range lines {
			if !strings.HasPrefix(l, `{"jsonrpc":"2.0",`) {
				t.Errorf("answer is no JSON-RPC 2.0: %s", l)
			}
		}
		k.write(`{"jsonrpc":"2.0","id":"end","method":"echo"}` + "\n")
		if after := digest(t, k.heard()); after != `"end": ok` {
			t.Errorf("the connection does not go on: got %q", after)
		}
	})
	return got
}

// The same lines go to this server and to jrpc2. If they differ, why says which one
// is right, or what is wanted here.
var conformance = []struct {
	name   string
	line   string
	want   string
	oracle string // of jrpc2, if there is a why
	why    string
}{
	{"call", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"n":1}}`, "1: ok", "", ""},
	{"no params", `{"jsonrpc":"2.0","id":1,"method":"echo"}`, "1: ok", "", ""},
	{"params null", `{"jsonrpc":"2.0","id":1,"method":"echo","params":null}`, "1: ok", "", ""},
	{"params empty", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{}}`, "1: ok", "", ""},
	{"params array", `{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}`, "1: -32602", "", ""},
	{"params string", `{"jsonrpc":"2.0","id":1,"method":"echo","params":"x"}`, "1: -32600", "", ""},
	{"params of a wrong type", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"n":"x"}}`, "1: -32602", "", ""},
	{"params unknown", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"m":1}}`, "1: -32602", "", ""},
	{"params twice", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"n":1,"n":2}}`, "1: ok", "", ""},
	{"params case", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"N":1}}`, "1: ok", "", ""},
	{"id string", `{"jsonrpc":"2.0","id":"a\u0062\"","method":"echo"}`, `"a\u0062\"": ok`, "", ""},
	{"id large", `{"jsonrpc":"2.0","id":9007199254740993,"method":"echo"}`, "9007199254740993: ok", "", ""},
	{"id fraction", `{"jsonrpc":"2.0","id":1.50,"method":"echo"}`, "1.50: ok", "", ""},
	{"id negative", `{"jsonrpc":"2.0","id":-0,"method":"echo"}`, "-0: ok", "", ""},
	{"id null", `{"jsonrpc":"2.0","id":null,"method":"echo"}`, "null: ok", "", "jrpc2 takes it for a notification; the specification makes it a call, if an unwise one"},
	{"id object", `{"jsonrpc":"2.0","id":{},"method":"echo"}`, "null: -32600", "", ""},
	{"id bool", `{"jsonrpc":"2.0","id":true,"method":"echo"}`, "null: -32600", "", ""},
	{"id long", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 1100) + `","method":"echo"}`, "null: -32600", `"` + strings.Repeat("x", 1100) + `": ok`, "each call in flight keeps its id"},
	{"id twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"echo"}`, "2: ok", "", ""},
	{"id twice at once", `{"jsonrpc":"2.0","id":1,"method":"wait"}` + "\n" + `{"jsonrpc":"2.0","id":1,"method":"echo"}`, "null: -32600", `1: -32600`, "under id 1 the caller would take it for the answer to its first call"},
	{"notification", `{"jsonrpc":"2.0","method":"echo"}`, "", "", ""},
	{"notification of no method", `{"jsonrpc":"2.0","method":"nope"}`, "", "", ""},
	{"notification of bad params", `{"jsonrpc":"2.0","method":"echo","params":[]}`, "", "", ""},
	{"no method", `{"jsonrpc":"2.0","id":1,"method":"nope"}`, "1: -32601", "", ""},
	{"method case", `{"jsonrpc":"2.0","id":1,"method":"Echo"}`, "1: -32601", "", ""},
	{"method escaped", `{"jsonrpc":"2.0","id":1,"method":"\u0065cho"}`, "1: ok", "", ""},
	{"method missing", `{"jsonrpc":"2.0","id":1}`, "1: -32600", "", ""},
	{"method empty", `{"jsonrpc":"2.0","id":1,"method":""}`, "1: -32600", "", ""},
	{"method number", `{"jsonrpc":"2.0","id":1,"method":1}`, "1: -32600", `1: -32700`, "it is JSON: the specification has -32600"},
	{"method twice", `{"jsonrpc":"2.0","id":1,"method":"echo","method":"nope"}`, "1: -32601", "", ""},
	{"member case", `{"jsonrpc":"2.0","id":1,"METHOD":"echo"}`, "1: ok", `1: -32600`, "encoding/json takes names in any case"},
	{"member case beside", `{"jsonrpc":"2.0","id":1,"method":"echo","Method":"nope"}`, "1: -32601", `1: -32600`, "encoding/json takes names in any case, and the last of two"},
	{"member escaped", `{"jsonrpc":"2.0","\u0069d":1,"method":"echo"}`, "1: ok", "", ""},
	{"member unknown", `{"jsonrpc":"2.0","id":1,"method":"echo","trace":1}`, "1: -32600", "", ""},
	{"version missing", `{"id":1,"method":"echo"}`, "1: -32600", "", ""},
	{"version 1.0", `{"jsonrpc":"1.0","id":1,"method":"echo"}`, "1: -32600", "", ""},
	{"version number", `{"jsonrpc":2.0,"id":1,"method":"echo"}`, "1: -32600", `1: -32700`, "it is JSON: the specification has -32600"},
	{"result", `{"jsonrpc":"2.0","id":1,"result":1}`, "1: -32600", "", ""},
	{"mixed", `{"jsonrpc":"2.0","id":1,"method":"echo","result":1}`, "1: -32600", "", ""},
	{"batch", `[{"jsonrpc":"2.0","id":1,"method":"echo"}]`, "null: -32600", `batch`, "no batches: they would only hide the order of what is answered"},
	{"batch empty", `[]`, "null: -32600", "", ""},
	{"batch of rubbish", `[1]`, "null: -32600", `batch`, "no batches"},
	{"batch cut short", `[{"jsonrpc":"2.0"`, "null: -32700", "", ""},
	{"empty object", `{}`, "null: -32600", "", ""},
	{"string", `"x"`, "null: -32600", `null: -32700`, "it is JSON: the specification has -32600"},
	{"number", `1`, "null: -32600", `null: -32700`, "it is JSON: the specification has -32600"},
	{"null", `null`, "null: -32600", "", ""},
	{"rubbish", `xyz`, "null: -32700", "", ""},
	{"cut short", `{"jsonrpc":"2.0","id":1,"method":"ec`, "null: -32700", "", ""},
	{"two on a line", `{"jsonrpc":"2.0","id":1,"method":"echo"}{}`, "null: -32700", "", ""},
	{"bad number", `{"jsonrpc":"2.0","id":01,"method":"echo"}`, "null: -32700", "", ""},
	{"NUL", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ec\x00ho\"}", "null: -32700", "", ""},
	{"not UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", "null: -32700", "1: -32601", "JSON is UTF-8 (RFC 8259, 8.1); a text would reach an agent changed"},
	{"blank lines and CRLF", "\r\n\n \t\n" + `{"jsonrpc":"2.0","id":1,"method":"echo"}` + "\r", "1: ok", `null: -32700, null: -32700, null: -32700, 1: ok`, "people and scripts send them"},
	{"deep", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"n":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}}`, "null: -32600", `1: -32602`, "refused before it is decoded; beyond its depth the id was not looked for"},
}

func TestConformance(t *testing.T) {
	for _, tt := range conformance {
		t.Run(tt.name, func(t *testing.T) {
			if got := heardFromOurs(t, tt.line+"\n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			want := tt.want
			if tt.why != "" {
				want = tt.oracle
			}
			if got := heardFromOracle(t, tt.line+"\n"); got != want {
				t.Errorf("jrpc2: got %q, want %q", got, want)
			}
		})
	}
}
