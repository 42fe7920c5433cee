package delivery

import (
	"path/filepath"
	"strings"
	"testing"

	"iris/daemon/agents"
	"iris/ipc"
)

// Each limit is itself allowed.
func TestOptionsHaveLimits(t *testing.T) {
	most := maxTTL.Milliseconds()
	for _, c := range []struct {
		allowed, refused ipc.Send
		want             string
	}{
		{ipc.Send{Key: strings.Repeat("k", 1024)}, ipc.Send{Key: strings.Repeat("k", 1025)}, "the key has 1025 bytes"},
		{ipc.Send{Key: "ä"}, ipc.Send{Key: "\xe4"}, "valid UTF-8"},
		{ipc.Send{TTL: 0}, ipc.Send{TTL: -1}, "ttl_ms is -1"},
		{ipc.Send{TTL: most}, ipc.Send{TTL: most + 1}, "35 days"},
		{ipc.Send{IfBusy: "fail"}, ipc.Send{IfBusy: "no"}, "if_busy is"},
		{ipc.Send{OnUnknown: "hold"}, ipc.Send{OnUnknown: "no"}, "on_unknown is"},
		{ipc.Send{Origin: strings.Repeat("o", maxOrigin)}, ipc.Send{Origin: strings.Repeat("o", maxOrigin+1)}, "origin has 257 bytes"},
		{ipc.Send{Origin: "ä"}, ipc.Send{Origin: "\xe4"}, "valid UTF-8"},
	} {
		if err := checkOptions(&c.allowed); err != nil {
			t.Error(err)
		}
		if err := checkOptions(&c.refused); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestTextHasLimits(t *testing.T) {
	if err := checkText(strings.Repeat("a", agents.MaxMessage)); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		" \n": "blank", "\xe4": "not valid UTF-8", strings.Repeat("a", agents.MaxMessage+1): "more than the",
	} {
		if err := checkText(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", text, err, want)
		}
	}
}

// If nobody knows how much space is free, a message is not refused for it: the journal says what
// is wrong there.
func TestUnknownSpaceRefusesNoMessage(t *testing.T) {
	d := newDispatcher(t, "")
	d.o.Paths.State = filepath.Join(d.o.Paths.State, "none")
	if err := d.checkSpace(); err != nil {
		t.Error(err)
	}
}
