//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// environNumber is a number from the environment, or the usual one.
func environNumber(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return usual
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// working are the teams that have something to do at each kill; one more is
// idle.
var working = []string{"t0", "t1", "t2", "t3"}

// TestRealTurnsOutliveTheirDaemon kills the daemon of four agents at work and an
// idle one again and again. IRIS_REAL_KILLS says how often at least,
// IRIS_REAL_SEED when and where.
func TestRealTurnsOutliveTheirDaemon(t *testing.T) {
	t.Parallel()
	kills := int(environNumber(t, "IRIS_REAL_KILLS", 6))
	seed := environNumber(t, "IRIS_REAL_SEED", uint64(time.Now().UnixNano()))
	k := newKilling(t, "", append([]string{"idle"}, working...)...)
	k.open()
	t.Logf("IRIS_REAL_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := 0; k.kills < kills && !t.Failed(); n++ {
		// Another conversation now and then, so that agents are started and give
		// way while it is killed, and their requests stay small.
		k.round(rng, n, fmt.Sprintf("c%d", n/4))
	}
	k.end()
}

// round sends each team its message, kills the daemon meanwhile and checks that
// everything ends as without the kill.
func (k *killing) round(rng *rand.Rand, n int, session string) {
	mix := []string{"stream", "tool", "background", "permission", "large"}
	var all []*sent
	var wg sync.WaitGroup
	var asks *sent
	for i, team := range working {
		ms := []*sent{k.message(team, session, mix[(n+i)%len(mix)])}
		if ms[0].kind == "permission" {
			asks = ms[0]
		}
		if i == n%len(working) { // one waits behind another
			ms = append(ms, k.message(team, session, "echo"))
		}
		all = append(all, ms...)
		wg.Go(func() { k.submit(ms...) })
	}
	time.Sleep(upTo(rng, 1200*time.Millisecond))
	if asks != nil {
		k.freeze(asks)
	}
	k.kill()
	if rng.IntN(3) == 0 {
		k.killNext(upTo(rng, 300*time.Millisecond))
	}
	k.next()
	wg.Wait()
	k.settled(all...)
	k.remembered(session, append([]string{"idle"}, working...)...)
}

// freeze stops the daemon, which would answer at once: so the agent that asks for
// permission still waits when the daemon is killed.
func (k *killing) freeze(m *sent) {
	k.T.Helper()
	k.signalDaemon(syscall.SIGSTOP)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, path := range k.spools() {
			if doing(path) == "waiting for permission" {
				return
			}
		}
	}
}

// killNext has the next daemon killed too, so soon after its start.
func (k *killing) killNext(after time.Duration) {
	k.T.Helper()
	var out bytes.Buffer
	cmd := k.command("ps")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	k.until("the next daemon", func() bool { return len(k.daemons()) > 0 })
	time.Sleep(after)
	k.kill()
	cmd.Wait() // with what it was told of that
}

func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d)))
}
