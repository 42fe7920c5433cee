package ipc

import "testing"

func TestCallAnswers(t *testing.T) {
	path := start(t, testServer(Options{Version: "9.9"}))
	c := dial(t, path)
	for _, method := range []string{"echo", "slow.echo"} {
		var got echoParams
		mustCall(t, c, method, echoParams{Text: "hé", N: 3}, &got)
		if got != (echoParams{Text: "hé", N: 3}) {
			t.Errorf("%s: got %+v", method, got)
		}
	}
	if got := c.Hello().Version; got != "9.9" {
		t.Errorf("version of the daemon: got %q", got)
	}
}
