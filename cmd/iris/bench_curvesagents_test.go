//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"

	"iris/ipc"
)

// starts is how many slots the crowds leave for the agents that curveStart starts.
const starts = 20

// crowdSizes are the numbers of live agents, of which the larger is as many as the
// configuration permits beside starts.
func crowdSizes() []int { return []int{10, few(1000-starts, 15)} }

// crowded returns two houses, with few and with many live agents of the built-in kind.
// They stay until the end.
func (r *curveRig) crowded() []*house {
	var crowds []*house
	for i, n := range crowdSizes() {
		if i == len(r.crowds) {
			h := newHouse(r.parent, r.iris, "")
			h.configure(fmt.Sprintf("max_processes = %d\nidle_timeout = \"0\"\n%s", n+starts, h.fakeTeam("fake")))
			h.daemon()
			h.wakeAll("echo", n)
			r.crowds = append(r.crowds, h)
		}
		crowds = append(crowds, r.crowds[i].as(r.b))
	}
	return crowds
}

// curveStart starts the scripted fake agent beside few and many agents that live.
func curveStart(r *curveRig) []line {
	cpu := line{what: "start of one agent with so many live, daemon CPU ms", wanted: "flat, <= 1.3x"}
	crowds := r.crowded()
	all, idle := make([]times, len(crowds)), make([]float64, len(crowds))
	for k, h := range crowds {
		idle[k] = idleLoad(r.b, h.daemon())
	}
	for i := range few(starts, 2) {
		for k, h := range crowds {
			cmd := h.command("wake", fmt.Sprintf("fake@new%d", i))
			all[k] = append(all[k], daemonCPU(r.b, h.daemon(), idle[k], func() { silently(r.b, cmd) }))
		}
	}
	for k, n := range crowdSizes() {
		cpu.add(n, ms(all[k].median()))
	}
	return []line{cpu}
}

// curvePs lists few and many live agents.
func curvePs(r *curveRig) []line {
	client := line{what: "iris ps of so many agents, client CPU ms", wanted: "linear, half of 36"}
	daemon := line{what: "the same, daemon CPU ms", wanted: "linear, half"}
	crowds := r.crowded()
	rounds := few(30, 3)
	for k, n := range crowdSizes() {
		h := crowds[k]
		pid := h.daemon()
		idle := idleLoad(r.b, pid)
		var all times
		served := daemonCPU(r.b, pid, idle, func() {
			for range rounds {
				all = append(all, commandCPU(r.b, h.command("ps")))
			}
		})
		client.add(n, ms(all.median()))
		daemon.add(n, ms(served)/float64(rounds))
	}
	return []line{client, daemon}
}

// curveEvents sends messages while others follow the events.
func curveEvents(r *curveRig) []line {
	cpu := line{what: "a send with so many followers of events, daemon CPU ms", wanted: "<= 3x"}
	h := r.house("")
	h.run("send", "echo", "hi")
	pid := h.daemon()
	sends := few(100, 5)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	followers := 0
	for _, n := range []int{0, few(100, 2), few(1000, 4)} {
		h.follow(ctx, &wg, n-followers)
		followers = n
		idle := idleLoad(r.b, pid)
		took := daemonCPU(r.b, pid, idle, func() {
			for range sends {
				h.run("send", "echo", "hi")
			}
			rest(r.b, pid) // the last followers get the last events
		})
		cpu.add(n, ms(took)/float64(sends))
	}
	return []line{cpu}
}

// follow adds followers of the events that end with ctx. It returns when all of them
// have got their first notification.
func (h *house) follow(ctx context.Context, wg *sync.WaitGroup, n int) {
	var begun sync.WaitGroup
	for range n {
		c := h.dial()
		begun.Add(1)
		begin := sync.OnceFunc(begun.Done)
		c.OnNotify = func(string, json.RawMessage) { begin() }
		wg.Go(func() {
			defer begin()
			if _, err := c.Subscribe(ctx, ipc.EventQuery{}); ctx.Err() == nil {
				h.b.Errorf("the events ended: %v", err)
			}
		})
	}
	begun.Wait()
}

// curveSocket finds the daemon by a variable, by a flag, and by its usual place.
func curveSocket(r *curveRig) []line {
	h := r.house("")
	h.run("send", "echo", "hi")
	socket := filepath.Join(h.dir, "run", "iris", "iris.sock")
	ps := func(cmd *exec.Cmd) { silently(r.b, cmd) }
	t := inTurns(few(200, 5),
		func() { ps(h.command("ps")) },
		func() {
			cmd := h.command("ps")
			cmd.Env = append(cmd.Env, "IRIS_SOCKET="+socket)
			ps(cmd)
		},
		func() { ps(h.command("--socket", socket, "ps")) })
	wall := line{what: "iris ps, wall ms", wanted: "1.0x", at: []point{
		{"IRIS_SOCKET", ms(t[1].median())}, {"--socket", ms(t[2].median())},
	}}
	usual := line{what: "the same", wanted: "1.0x", at: []point{
		{"IRIS_SOCKET", ms(t[1].median())}, {"neither", ms(t[0].median())},
	}}
	return []line{wall, usual}
}
