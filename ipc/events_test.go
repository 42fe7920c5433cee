package ipc

import "testing"

func TestEventQueryWants(t *testing.T) {
	own, other := "", "s"
	e := Event{Type: "message-sent", Team: "api", Session: "s", Message: "m"}
	for what, c := range map[string]struct {
		filter EventQuery
		want   bool
	}{
		"all":           {EventQuery{}, true},
		"team":          {EventQuery{Team: "api"}, true},
		"other team":    {EventQuery{Team: "web"}, false},
		"session":       {EventQuery{Team: "api", Session: &other}, true},
		"own session":   {EventQuery{Team: "api", Session: &own}, false},
		"type":          {EventQuery{Types: []string{"x", "message-sent"}}, true},
		"other type":    {EventQuery{Types: []string{"x"}}, false},
		"message":       {EventQuery{Message: "m"}, true},
		"other message": {EventQuery{Message: "n", Types: []string{"message-sent"}}, false},
	} {
		if got := c.filter.Wants(&e); got != c.want {
			t.Errorf("%s: got %v", what, got)
		}
	}
}
