package journal

import (
	"reflect"
	"testing"
	"time"

	"iris/pool/turn"
)

// A result in the form of an earlier iris, and its content.
const resultThen = `{"code":7,"reason":"r","hint":"h","outcome":"denied","earlier":["one"],"error":"e","session_id":"s","subtype":"su",` +
	`"stop":"st","terminal":"te","status":429,"turns":2,"cost_usd":0.5,"duration":3,"api":4,"usage":{"input":1,"output":2,"cache_read":3,"cache_write":4},` +
	`"denials":[{"tool":"Bash","input":"eyJhIjoxfQ=="}],"resets":"2026-01-02T03:04:05Z","model":"m","background":["b"],"retire":"x","notice":"n"}` + "\nthe text"

func TestResultOfAnEarlierIrisIsRead(t *testing.T) {
	want := &Result{
		Code: 7, Hint: "h", Notice: "n",
		Result: turn.Result{
			Outcome: turn.Denied, Text: "the text", Earlier: []string{"one"}, Err: "e", SessionID: "s", Subtype: "su", Stop: "st", Terminal: "te",
			Status: 429, Turns: 2, CostUSD: 0.5, Duration: 3, API: 4, Usage: turn.Usage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4},
			Denials: []turn.Denial{{Tool: "Bash", Input: []byte(`{"a":1}`)}}, Resets: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Model: "m", Background: []string{"b"}, Reason: "r", Retire: "x",
		},
	}
	got, err := decodeResult([]byte(resultThen))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	again, err := encodeResult(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeResult(again); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("written and read: got %+v, %v, want %+v", got, err, want)
	}
}
