package turn

import "testing"

func TestWordsAreNoAnswerToWhoWantsJSON(t *testing.T) {
	schema := Variant{JSONSchema: "{}"}
	for _, c := range []struct {
		r    Result
		v    Variant
		want Outcome
	}{
		{Result{Outcome: Success, Text: "words"}, schema, Failed},
		{Result{Outcome: Denied, Text: "words"}, schema, Failed},
		{Result{Outcome: Success, Text: "{}", Structured: true}, schema, Success},
		{Result{Outcome: Success, Text: "words"}, Variant{}, Success},
		{Result{Outcome: RateLimited}, schema, RateLimited},
	} {
		if got := c.r.For(c.v); got.Outcome != c.want || (got.Outcome == c.r.Outcome) != (got.Err == "") {
			t.Errorf("%+v for %+v: got %+v", c.r, c.v, got)
		}
	}
}
