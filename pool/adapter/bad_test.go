package adapter

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestProgramThatIsNotReady(t *testing.T) {
	for _, c := range []struct{ mode, want string }{
		{"version2", "speaks version 2"},
		{"mute", "is not ready after 1s"},
		{"banner mute", `it printed "Welcome to the fake agent!"`},
		{"other", "initialize: method not found"},
		{"early", "exited (exit status 3): cannot work here"},
	} {
		r := launch(t, []string{"--start-timeout=1s"}, c.mode)
		if s := r.end(); s != 1 || !strings.Contains(r.stderr.String(), c.want) {
			t.Errorf("%s: got %d, %s", c.mode, s, &r.stderr)
		}
	}
}

func TestProgramIsMissing(t *testing.T) {
	var stderr bytes.Buffer
	s := Run(t.Context(), "acp", []string{"-p", "--", "no-such-program"}, strings.NewReader(""), io.Discard, &stderr)
	if s != 1 || !strings.Contains(stderr.String(), `program "no-such-program" is not on the agents' PATH`) {
		t.Errorf("got %d, %s", s, &stderr)
	}
	if s := Run(t.Context(), "acp", []string{"-p"}, strings.NewReader(""), io.Discard, &stderr); s != 2 {
		t.Errorf("without a command: got %d", s)
	}
}

func TestBanner(t *testing.T) {
	r := launch(t, nil, "banner")
	r.say("hello")
	if l := r.result(); l.Result != "hello" {
		t.Errorf("got %s", l.raw)
	}
}

func TestProgramThatEndsInATurn(t *testing.T) {
	for _, c := range []struct{ act, want string }{
		{"exit:3", "exited (exit status 3): that was too much"},
		{"exit:0", "exited (exit status 0)"},
		{"big:50", "wrote a line of more than 32 MB"},
	} {
		r := launch(t, nil)
		r.say("part", c.act)
		if l := r.result(); !l.IsError || !strings.Contains(l.Result, "the answer is incomplete: ") || !strings.Contains(l.Result, c.want) {
			t.Errorf("got %s", clip(l.raw, 1000))
		}
		select { // without the end of its input
		case s := <-r.status:
			if s != 1 {
				t.Errorf("got status %d", s)
			}
		case <-time.After(patience):
			t.Fatal("it stays without its program")
		}
	}
}

func TestALongAnswerIsWhole(t *testing.T) {
	r := launch(t, nil)
	r.say("big:3")
	if l := r.result(); len(l.Result) != 3<<20 {
		t.Errorf("got %d bytes", len(l.Result))
	}
}

func TestSignalEndsTheProgram(t *testing.T) {
	r := launch(t, nil, "deaf")
	r.say("part", "hang")
	r.await("beginning", func(l line) bool { return l.Type == "stream_event" })
	r.cancel()
	select {
	case s := <-r.status:
		if s != 143 {
			t.Errorf("got status %d", s)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}
