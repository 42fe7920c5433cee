//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

// writeEnds lists the processes that have a pipe open for writing, by the pipe.
func writeEnds(pids []int) map[string][]int {
	ends := map[string][]int{}
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d", pid)
		files, _ := os.ReadDir(dir + "/fd")
		for _, f := range files {
			to, _ := os.Readlink(dir + "/fd/" + f.Name())
			info, _ := os.ReadFile(dir + "/fdinfo/" + f.Name())
			if strings.HasPrefix(to, "pipe:") && writable(string(info)) && !slices.Contains(ends[to], pid) {
				ends[to] = append(ends[to], pid)
			}
		}
	}
	return ends
}

// writable reads the access mode in what /proc says of a descriptor.
func writable(fdinfo string) bool {
	_, rest, _ := strings.Cut(fdinfo, "flags:\t")
	var flags int
	fmt.Sscanf(rest, "%o", &flags)
	return flags&3 == os.O_WRONLY
}

func TestNoAgentHasTheInputOfAnother(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "a", "b", "c")
	i.ask("a", "echo:x")
	i.ask("b", "echo:x")
	i.mustReplace()
	var wg sync.WaitGroup
	for n := range 6 { // agents that start meanwhile
		wg.Go(func() {
			_, err := tell[ipc.Process](i, ipc.MethodWake, ipc.Target{Team: "c", Session: fmt.Sprint(n)})
			if err != nil && !lost(err) {
				t.Error(err)
			}
		})
	}
	i.mustReplace()
	wg.Wait()
	i.ask("c", "echo:x")
	daemon := i.status().PID
	pids := []int{daemon}
	for _, p := range i.ps() {
		pids = append(pids, p.PID)
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID))
		for _, f := range files {
			if to, _ := os.Readlink(f); strings.Contains(to, "handoff") || strings.Contains(to, "daemon.lock") || strings.Contains(to, "/journal") {
				t.Errorf("agent %s has %s", p.Team, to)
			}
		}
	}
	if len(pids) < 4 {
		t.Errorf("only %d processes", len(pids))
	}
	for _, pid := range pids[1:] {
		stdin, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", pid))
		if has := writeEnds(pids)[stdin]; !slices.Equal(has, []int{daemon}) {
			t.Errorf("the input of %d is written by %v, the daemon is %d", pid, has, daemon)
		}
	}
}

func TestManyReplacementsUnderLoadLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	i := newInn(t, "max_processes = 3\nhealth_check_interval = \"1s\"", "a", "b", "c", "d")
	rounds, senders := 20, 6
	if testing.Short() {
		rounds = 5
	}
	stop := make(chan struct{})
	var mu sync.Mutex
	sent := map[string]string{} // by text: the id
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				text := fmt.Sprintf("echo:%d.%d", s, n)
				if n%4 == 0 {
					text = fmt.Sprintf("sleep:%dus", 100_000+1000*s+n)
				}
				key := fmt.Sprintf("%d.%d", s, n)
				send := ipc.Send{Team: string(rune('a' + (s+n)%4)), Text: text, Key: key}
				st, err := tell[ipc.MessageState](i, ipc.MethodSubmit, send)
				for ; lost(err); st, err = tell[ipc.MessageState](i, ipc.MethodSubmit, send) {
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				sent[text] = st.ID
				mu.Unlock()
				if n%2 == 0 {
					i.answer(st.ID)
				}
			}
		})
	}
	for range rounds {
		i.mustReplace()
		time.Sleep(50 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	for text, id := range sent {
		if got := i.answer(id); strings.HasPrefix(text, "echo:") && got != strings.TrimPrefix(text, "echo:") {
			t.Errorf("%s: got %q", text, got)
		}
	}
	seen := map[string]int{}
	for _, text := range i.begun() {
		seen[text]++
	}
	for text := range sent {
		if seen[text] != 1 {
			t.Errorf("%s began %d times", text, seen[text])
		}
	}
	if len(i.ps()) > 3 {
		t.Errorf("too many agents: %v", i.ps())
	}
	t.Logf("%d messages over %d replacements", len(sent), rounds)
}
