package delivery

import (
	"fmt"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// The place where a client goes on is one in the attempt that runs: output of another attempt
// does not count.
func TestPlaceInTheOutputIsOfOneAttempt(t *testing.T) {
	first, second := output{attempt: 1}, output{attempt: 2}
	for _, c := range []struct {
		of   output
		seen int64
		want int64
	}{
		{first, first.seq(7), 7}, {second, second.seq(7), 7}, {second, second.seq(0), 0},
		{second, first.seq(7), 0}, {first, second.seq(7), 0}, {second, output{attempt: 3}.seq(7), 0}, {first, second.seq(0), 0},
	} {
		if got := c.of.after(c.seen); got != c.want {
			t.Errorf("attempt %d after %d: got %d, want %d", c.of.attempt, c.seen, got, c.want)
		}
	}
	if first.seq(1<<ipc.SeqBits-1) >= second.seq(0) {
		t.Error("the second attempt does not come after the first")
	}
}

// A client may reconnect before its agent is adopted.
func TestStreamGoesOnInAnAgentThatIsTakenUp(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	m := d.newDelivery(journal.New{ID: d.inflight.ids.next(time.Now()), Team: "api", Body: []byte("slow:100000:1ms"), At: time.Now()})
	opened := make(chan output, 1)
	m.attach(opened, 0)
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	first := <-opened
	defer first.Close()
	var seen int64
	for seen == 0 {
		<-first.More()
		if err := first.Read(func(p claude.Piece) error { seen = max(seen, p.Seq); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	msg, err := d.o.Store.Message(m.new.ID)
	if err != nil {
		t.Fatal(err)
	}
	again := d.restored(&msg)
	again.attach(opened, seen)
	again.rejoin(m.agent)
	st := <-opened
	defer st.Close()
	if st.Seq() != seen {
		t.Errorf("it goes on after %d, want %d", st.Seq(), seen)
	}
	later := make(chan output, 1)
	again.attach(later, seen)
	select {
	case st := <-later:
		st.Close()
	default:
		t.Error("another client that reconnects gets no output")
	}
	d.o.Pool.Cancel(m.new.ID)
	<-m.done
}

// Of the outputs of a message the one with most left to read is kept, and of all the newest.
func TestKeptOutputIsTheOneThatIsNeeded(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	m := d.newDelivery(journal.New{ID: "m1", Team: "api", Body: []byte("hang:"), At: time.Now()})
	opened := make(chan output, 1)
	m.attach(opened, 0)
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	(<-opened).Close()
	from := func(attempt int, after int64) output {
		st, err := m.agent.Stream(m.offset, m.uuid, after)
		if err != nil {
			t.Fatal(err)
		}
		return output{st, attempt}
	}
	c := &d.inflight.outputs
	for _, step := range []struct {
		attempt  int
		after    int64
		kept     int // attempt
		keptFrom int64
	}{{1, 20, 1, 20}, {1, 30, 1, 20}, {1, 10, 1, 10}, {2, 50, 2, 50}, {1, 0, 2, 50}, {2, 60, 2, 50}, {2, 40, 2, 40}} {
		c.keep("m1", from(step.attempt, step.after))
		if got := c.kept[0].from; len(c.kept) != 1 || got.attempt != step.kept || got.Seq() != step.keptFrom {
			t.Errorf("%+v: kept is attempt %d from %d", step, got.attempt, got.Seq())
		}
	}
	c.drop("m1", output{attempt: 1}) // the timer of one that was replaced
	if !c.has("m1") {
		t.Error("an old timer drops a new output")
	}
	if c.drop("m1", c.kept[0].from); c.has("m1") {
		t.Error("its own timer does not drop it")
	}
	c.keep("m1", from(1, 0))
	if c.forget("m1"); c.has("m1") {
		t.Error("it is not forgotten")
	}
	c.keep("m1", from(1, 0))
	for i := range maxKeptOutputs {
		c.keep(fmt.Sprint(i), from(1, 0))
	}
	if c.has("m1") || !c.has("0") || len(c.kept) != maxKeptOutputs {
		t.Errorf("%d are kept, the oldest: %v", len(c.kept), c.has("m1"))
	}
	d.o.Pool.Cancel("m1")
	<-m.done
}
