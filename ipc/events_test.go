package ipc

import "testing"

func TestSinceWants(t *testing.T) {
	own, other := "", "s"
	e := Event{Type: "message-sent", Team: "api", Session: "s", Message: "m"}
	for what, c := range map[string]struct {
		filter Since
		want   bool
	}{
		"all":           {Since{}, true},
		"team":          {Since{Team: "api"}, true},
		"other team":    {Since{Team: "web"}, false},
		"session":       {Since{Team: "api", Session: &other}, true},
		"own session":   {Since{Team: "api", Session: &own}, false},
		"type":          {Since{Types: []string{"x", "message-sent"}}, true},
		"other type":    {Since{Types: []string{"x"}}, false},
		"message":       {Since{Message: "m"}, true},
		"other message": {Since{Message: "n", Types: []string{"message-sent"}}, false},
	} {
		if got := c.filter.Wants(&e); got != c.want {
			t.Errorf("%s: got %v", what, got)
		}
	}
}
