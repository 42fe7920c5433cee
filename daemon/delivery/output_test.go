package delivery

import (
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

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
	again.running = true
	again.attach(opened, seen)
	again.rejoin(m.agent)
	st := <-opened
	defer st.Close()
	if st.Seq() != seen {
		t.Errorf("it goes on after %d, want %d", st.Seq(), seen)
	}
	d.o.Pool.Cancel(m.new.ID)
	<-m.done
}
