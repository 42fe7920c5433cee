package agents

import (
	"reflect"
	"testing"

	"iris/pool"
	"iris/pool/claude"
)

// A report of an adopted agent is not lost if it comes before the pool is restored.
func TestWorkOfAdoptedAgents(t *testing.T) {
	s := &Supervisor{Pool: pool.New(pool.Config[*claude.Process]{Limits: pool.Limits{MaxProcesses: 2}})}
	defer s.Pool.Close()
	s.own.adopting()
	s.works("p-1", "") // has ended meanwhile
	s.works("p-2", "peer")
	restored := false
	got := map[string]string{"p-1": "scheduler"} // as the pool restores them
	s.own.adopted(func() { restored = true }, func(process, on string) {
		if !restored {
			t.Error("told before the pool is restored")
		}
		got[process] = on
	})
	if want := map[string]string{"p-1": "", "p-2": "peer"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.works("p-2", "") // no longer kept
	if s.own.early != nil {
		t.Errorf("kept %v", s.own.early)
	}
}
