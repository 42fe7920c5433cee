package main

import (
	"context"
	"encoding/json"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

// sendTo sends a message as the command does, without its arguments.
func sendTo(ctx context.Context, opts sendOptions) (string, error) {
	var stdout, stderr strings.Builder
	err := runSend(ctx, &opts, []string{"api", "hello"}, streams{nil, &stdout, &stderr})
	return stdout.String() + stderr.String(), err
}

func TestLostDaemonIsFoundAgainByTheID(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodResult: says(succeeded("m1", "done"), nil),
	})
	s.handle[ipc.MethodSend] = taken("m1", "running", s.after("m1", s.lost))
	waits := 0
	s.handle[ipc.MethodWait] = func(ctx context.Context, c *ipc.Call) (any, error) {
		if waits++; waits == 1 {
			return s.lost(ctx, c)
		}
		return ipc.MessageState{ID: "m1", State: "done"}, nil
	}
	s.kill()
	s.start()
	out, err := sendTo(t.Context(), sendOptions{globals: g})
	if err != nil || out != "done\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if got, want := s.called(), "message.send message.wait message.wait message.result"; got != want {
		t.Errorf("calls: got %s, want %s", got, want)
	}
}

func TestDaemonThatIsAwayForAWhileIsWaitedFor(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodWait:   says(ipc.MessageState{ID: "m1", State: "failed"}, nil),
		ipc.MethodResult: says(nil, wireError(ipc.CodeCancelled, "killed", "m1")),
	})
	dead := make(chan struct{})
	s.handle[ipc.MethodSend] = taken("m1", "queued", s.after("m1", func(ctx context.Context, c *ipc.Call) (any, error) {
		close(dead)
		return never(ctx, c)
	}))
	s.kill()
	s.start()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		<-dead
		s.kill()
		time.Sleep(300 * time.Millisecond)
		s.start()
	})
	out, err := sendTo(t.Context(), sendOptions{globals: g})
	if status(err) != ipc.CodeCancelled || out != "" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestDaemonThatIsGoneForGood(t *testing.T) {
	defer func(usual time.Duration) { reachTimeout = usual }(reachTimeout)
	reachTimeout = 100 * time.Millisecond
	s, g := newStub(t, nil)
	dead := make(chan struct{})
	s.handle = map[string]ipc.Handler{ipc.MethodSend: taken("m1", "queued", s.after("m1", func(ctx context.Context, c *ipc.Call) (any, error) {
		close(dead)
		return never(ctx, c)
	}))}
	s.kill()
	s.start()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { <-dead; s.kill() })
	_, err := sendTo(t.Context(), sendOptions{globals: g})
	if status(err) != ipc.CodeUnknown || !strings.Contains(hint(err), `"iris wait m1"`) { // 3 says that it was not accepted
		t.Errorf("got %v, status %d, hint %q", err, status(err), hint(err))
	}
}

// ownID is the id that a sender gives its message.
func ownID(t *testing.T, c *ipc.Call) string {
	t.Helper()
	var p ipc.Send
	if err := c.Bind(&p); err != nil {
		t.Error(err)
	}
	if _, ok := ipc.ParseID(p.ID); !ok {
		t.Errorf("sent with the id %q", p.ID)
	}
	return p.ID
}

func TestLostDaemonIsSentTheSameIDAgain(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{})
	var ids []string
	s.handle[ipc.MethodSend] = func(ctx context.Context, c *ipc.Call) (any, error) {
		if ids = append(ids, ownID(t, c)); len(ids) == 1 {
			return s.lost(ctx, c)
		}
		return succeeded(ids[0], "done"), nil
	}
	s.kill()
	s.start()
	out, err := sendTo(t.Context(), sendOptions{globals: g})
	if err != nil || out != "done\n" || len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("got %q, %v, sent as %q", out, err, ids)
	}
}

// TestDaemonGivesAnotherID has a clock that was set between client and daemon.
func TestDaemonGivesAnotherID(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{})
	other := ipc.FormatID(1, 1)
	s.handle[ipc.MethodSend] = func(ctx context.Context, c *ipc.Call) (any, error) {
		if id := ownID(t, c); id != other {
			return nil, wireError(ipc.CodeConflict, "other-id", other)
		}
		return succeeded(other, "done"), nil
	}
	s.kill()
	s.start()
	if out, err := sendTo(t.Context(), sendOptions{globals: g}); err != nil || out != "done\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestSendCutShortBeforeItsID ends the wait before the daemon has sent the id: the
// error then decides whether a script may send again.
func TestSendCutShortBeforeItsID(t *testing.T) {
	defer func(ask, cancel time.Duration) { askLimit, cancelLimit = ask, cancel }(askLimit, cancelLimit)
	state := func(state string) ipc.Handler {
		return func(_ context.Context, c *ipc.Call) (any, error) {
			var p ipc.MessageRef
			err := c.Bind(&p)
			return ipc.Message{ID: p.ID, State: state}, err
		}
	}
	none := func(context.Context, *ipc.Call) (any, error) {
		return nil, wireError(ipc.CodeNotFound, "no-such-message", "")
	}
	for _, c := range []struct {
		name      string
		show      ipc.Handler
		timeout   bool
		key       string
		status    int
		text      string // ID stands for the id
		hint      string
		cancelled bool
	}{
		{name: "refused", show: none, timeout: true, status: ipc.CodeDaemon, text: "the daemon did not accept the message in time"},
		{name: "refused", show: none, status: exitInterrupted, text: "interrupted before the daemon accepted the message"},
		{name: "accepted", show: state("queued"), timeout: true, status: exitTimeout,
			text: "no answer within 1h; message ID still waits and will run", hint: `"iris wait ID" waits for it, "iris cancel ID" takes it back`},
		{name: "accepted", show: state("queued"), status: exitInterrupted, text: "interrupted; message ID is cancelled", cancelled: true},
		{name: "ended", show: state("done"), timeout: true, status: exitTimeout,
			text: "no answer within 1h; message ID has ended", hint: `"iris result ID" prints its answer`},
		{name: "silent", show: never, timeout: true, status: ipc.CodeUnknown,
			text: "no answer within 1h; nobody knows whether message ID was accepted", hint: `"iris show ID" says so when the daemon answers again`},
		{name: "silent", show: never, timeout: true, key: "k", status: ipc.CodeUnknown,
			text: "no answer within 1h; nobody knows whether message ID was accepted", hint: "the same --key makes it safe to send again"},
		{name: "silent", show: never, status: ipc.CodeUnknown,
			text: "interrupted; nobody knows whether message ID was accepted", hint: `"iris cancel ID" ends it, if it was, when the daemon answers again`},
	} {
		askLimit, cancelLimit = longEnough, longEnough
		if c.name == "silent" {
			askLimit, cancelLimit = 10*time.Millisecond, 10*time.Millisecond
		}
		ctx, end := expiring(t)
		s, g := newStub(t, map[string]ipc.Handler{ipc.MethodShow: c.show})
		interrupt := interrupts(t)
		if !c.timeout {
			ctx, end = t.Context(), func() { (<-interrupt)() }
		}
		var id string
		cancelled := false
		s.handle[ipc.MethodSend] = func(ctx context.Context, call *ipc.Call) (any, error) {
			id = ownID(t, call)
			end()
			return never(ctx, call)
		}
		s.handle[ipc.MethodCancel] = func(context.Context, *ipc.Call) (any, error) {
			cancelled = true
			return ipc.MessageState{ID: id, State: "cancelled"}, nil
		}
		s.kill()
		s.start()
		_, err := sendTo(ctx, sendOptions{globals: g, key: c.key, timeout: seconds(time.Hour), cancels: true})
		s.kill()
		with := func(text string) string { return strings.ReplaceAll(text, "ID", id) }
		if status(err) != c.status || err.Error() != with(c.text) || hint(err) != with(c.hint) || cancelled != c.cancelled {
			t.Errorf("%s: got %v, hint %s, status %d, cancelled %t", c.name, err, hint(err), status(err), cancelled)
		}
	}
}

// TestCallThatTheDaemonNeverReadIsMadeAgain has a daemon die with the call in a
// socket that nobody has read from.
func TestCallThatTheDaemonNeverReadIsMadeAgain(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{ipc.MethodSend: says(succeeded("m1", "done"), nil)})
	s.kill()
	ln, err := ipc.Listen(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if nc, err := ln.Accept(); err == nil {
			awaitLine(t, nc.(*net.UnixConn))
			ln.Close()
			nc.Close()
		}
		s.start()
	})
	out, err := sendTo(t.Context(), sendOptions{globals: g})
	if runtime.GOOS == "linux" && (err != nil || out != "done\n") {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestEndOfTheDaemonIsNoCancelling has a daemon end that answers the calls it
// gives up.
func TestEndOfTheDaemonIsNoCancelling(t *testing.T) {
	_, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodSend:   taken("m1", "running", says(nil, context.Canceled)),
		ipc.MethodWait:   says(ipc.MessageState{ID: "m1", State: "done"}, nil),
		ipc.MethodResult: says(succeeded("m1", "done"), nil),
	})
	if out, err := sendTo(t.Context(), sendOptions{globals: g}); err != nil || out != "done\n" {
		t.Errorf("with an id: got %q, %v", out, err)
	}
	_, g = newStub(t, map[string]ipc.Handler{ipc.MethodSend: says(nil, context.Canceled)})
	if _, err := sendTo(t.Context(), sendOptions{globals: g}); status(err) != ipc.CodeUnknown || ipc.ReasonOf(err) != "maybe-accepted" {
		t.Errorf("without one: got %v, status %d", err, status(err))
	}
}

func TestStoppingIsAnAnswer(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodSend: taken("m1", "queued", says(nil, wireError(ipc.CodeFull, "stopping", "m1"))),
	})
	_, err := sendTo(t.Context(), sendOptions{globals: g})
	if status(err) != ipc.CodeFull || s.called() != "message.send" {
		t.Errorf("got %v after %s", err, s.called())
	}
}

func TestEndOfTheWaitSaysWhatBecomesOfTheMessage(t *testing.T) {
	for state, want := range map[string]string{
		"queued":  `no answer within 1h; message m1 still waits and will run|"iris wait m1" waits for it, "iris cancel m1" takes it back`,
		"running": `no answer within 1h; message m1 goes on|"iris wait m1" waits for it, "iris cancel m1" interrupts it`,
	} {
		ctx, expire := expiring(t)
		s, g := newStub(t, nil)
		s.handle = map[string]ipc.Handler{ipc.MethodSend: taken("m1", state, s.after("m1", stuck(expire)))}
		s.kill()
		s.start()
		_, err := sendTo(ctx, sendOptions{globals: g, timeout: seconds(time.Hour), cancels: true})
		if status(err) != exitTimeout || err.Error()+"|"+hint(err) != want {
			t.Errorf("got %v, hint %s, status %d", err, hint(err), status(err))
		}
		if s.called() != "message.send" {
			t.Errorf("calls: %s", s.called())
		}
	}
}

// TestTimeoutHoldsOverALostDaemon has the time end on the second connection, of
// which nothing is known yet.
func TestTimeoutHoldsOverALostDaemon(t *testing.T) {
	ctx, expire := expiring(t)
	s, g := newStub(t, map[string]ipc.Handler{ipc.MethodWait: stuck(expire)})
	s.handle[ipc.MethodSend] = taken("m1", "running", s.after("m1", s.lost))
	s.kill()
	s.start()
	_, err := sendTo(ctx, sendOptions{globals: g, timeout: seconds(time.Hour)})
	if status(err) != exitTimeout || !strings.HasSuffix(err.Error(), "message m1 has not ended") {
		t.Errorf("got %v, status %d", err, status(err))
	}
}

// interrupts are what clients do at the first Ctrl-C, as soon as they would.
func interrupts(t *testing.T) <-chan func() {
	t.Helper()
	t.Cleanup(func() { whenInterrupted = onInterrupt })
	all := make(chan func(), 1)
	whenInterrupted = func(f func()) { all <- f }
	return all
}

func TestInterruptFindsTheIDAndCancels(t *testing.T) {
	for _, c := range []struct {
		cancels bool
		answer  ipc.Handler
		want    string
	}{
		{false, nil, "interrupted; message m1 goes on"},
		{true, says(ipc.MessageState{ID: "m1", State: "cancelled"}, nil), "interrupted; message m1 is cancelled"},
		{true, says(ipc.MessageState{ID: "m1", State: "interrupting"}, nil), "interrupted; so is the turn of message m1"},
		{true, says(nil, wireError(ipc.CodeNotFound, "no-such-message", "m1")), "interrupted; message m1 had ended already"},
		{true, says(nil, wireError(ipc.CodeFull, "journal", "")), "interrupted; message m1 is not cancelled: said journal"},
	} {
		s, g := newStub(t, map[string]ipc.Handler{})
		interrupt := interrupts(t)
		s.handle[ipc.MethodSend] = func(ctx context.Context, call *ipc.Call) (any, error) {
			(<-interrupt)() // before the id is known
			return never(ctx, call)
		}
		s.handle[ipc.MethodShow] = says(ipc.Message{ID: "m1", State: "running"}, nil)
		s.handle[ipc.MethodCancel] = c.answer
		if c.answer == nil {
			delete(s.handle, ipc.MethodCancel)
		}
		s.kill()
		s.start()
		_, err := sendTo(t.Context(), sendOptions{globals: g, cancels: c.cancels})
		if status(err) != exitInterrupted || err.Error() != c.want {
			t.Errorf("got %v, status %d, want %s", err, status(err), c.want)
		}
	}
}

func TestBusyIsSkippedOrFails(t *testing.T) {
	for ifBusy, want := range map[string]int{"skip": 0, "fail": ipc.CodeFull} {
		_, g := newStub(t, map[string]ipc.Handler{
			ipc.MethodSend: func(_ context.Context, c *ipc.Call) (any, error) {
				var p ipc.Send
				if err := c.Bind(&p); err != nil || p.IfBusy != "fail" {
					t.Errorf("got if_busy %q, %v", p.IfBusy, err)
				}
				return nil, wireError(ipc.CodeFull, "busy", "")
			},
		})
		var stderr strings.Builder
		_, err := sendTo(t.Context(), sendOptions{globals: g, ifBusy: ifBusy})
		if code := report(&stderr, err); code != want {
			t.Errorf("%s: got %v, status %d", ifBusy, err, code)
		}
		if ifBusy == "skip" && stderr.String() != "iris: team api is busy, message not sent\n" {
			t.Errorf("stderr: %s", &stderr)
		}
	}
}

func TestParamsOfSend(t *testing.T) {
	t.Setenv("IRIS_ORIGIN", "cron")
	opts := sendOptions{key: "k", ttl: 1, ifBusy: "wait", onUnknown: "hold", fresh: true}
	p := opts.params("api", "s", "text")
	p.EnvKeys = nil
	got, err := json.Marshal(p)
	want := `{"team":"api","session":"s","text":"text","fresh":true,"key":"k","ttl_ms":1,"on_unknown":"hold","origin":"cron"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
