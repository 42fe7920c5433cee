package claude

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"iris/pool"
)

func TestStartIsMute(t *testing.T) {
	r := fakeRig(t, "--fake-mute")
	r.o.StartTimeout = 200 * time.Millisecond
	_, err := Start(context.Background(), r.o)
	start, ok := errors.AsType[*pool.StartError](err)
	if !ok || start.Permanent || !strings.Contains(err.Error(), "not ready after 200ms") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 || len(below(r.o.ID, 0)) > 0 {
		t.Errorf("left: %v, %v", left, below(r.o.ID, 0))
	}
}
