//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/config"
)

// teams makes the directories of n teams and returns their tables.
func (h *house) teams(n int) string {
	var toml strings.Builder
	for i := range n {
		fmt.Fprintf(&toml, "[teams.t%d]\ndir = %q\ndescription = \"what the team is for\"\n", i, h.mkdir(fmt.Sprintf("teams/t%d", i)))
	}
	return toml.String()
}

// curveConfig loads a file of many teams, as every command that needs the configuration does.
func curveConfig(r *curveRig) []line {
	load := line{what: "load one file of so many teams, CPU ms", wanted: "linear, <= 60 ms at 10,000"}
	for _, n := range sizes(1000, 10_000) {
		h := r.house("")
		h.configure(h.teams(n))
		var all times
		for range few(5, 2) {
			all = append(all, ownCPU(r.b, func() { h.load(n) }))
		}
		load.add(n, ms(all.median()))
	}
	return []line{load}
}

// load loads the configuration and checks that it has n teams, with the one that is built in.
func (h *house) load(n int) {
	h.b.Helper()
	dir := filepath.Join(h.dir, "config", "iris")
	cfg, err := config.Load(config.Paths{
		Home: h.dir, State: filepath.Join(h.dir, "state"),
		Config: filepath.Join(dir, "config.toml"), Confd: filepath.Join(dir, "conf.d"),
	})
	if err != nil {
		h.b.Fatal(err)
	}
	if len(cfg.Teams) != n+1 {
		h.b.Fatalf("got %d teams", len(cfg.Teams))
	}
}

// curveTeamAdd adds a team while a daemon runs, which reloads the configuration.
func curveTeamAdd(r *curveRig) []line {
	wall := line{what: "iris team add, wall ms", wanted: "< 200 ms at 10,000"}
	for _, n := range sizes(1000, 10_000) {
		h := r.house("")
		h.configure(h.teams(n))
		h.daemon()
		var all times
		for i := range few(3, 1) {
			name := fmt.Sprintf("added%d", i)
			cmd := h.command("team", "add", name, h.mkdir(name))
			all = append(all, taking(func() { run(r.b, cmd) }))
		}
		wall.add(n, ms(all.median()))
	}
	return []line{wall}
}

// curveLogs prints the end of transcripts of several sizes.
func curveLogs(r *curveRig) []line {
	h := r.house("")
	var toml strings.Builder
	mbs := []int{5, 40, 160}
	for _, mb := range mbs {
		toml.WriteString(h.fakeTeam(fmt.Sprintf("mb%d", mb)))
	}
	h.configure(toml.String())
	var prints []func()
	for _, mb := range mbs {
		team := fmt.Sprintf("mb%d", mb)
		h.run("send", team, "hi")
		h.run("kill", team)
		growTranscript(r.b, h, team, few(mb<<20, mb<<12))
		prints = append(prints, func() { silently(r.b, h.command("logs", team, "-n", "20")) })
	}
	wall := line{what: "iris logs -n 20 of so many MB, wall ms", wanted: "flat"}
	for i, t := range inTurns(few(3, 1), prints...) {
		wall.add(mbs[i], ms(t.median()))
	}
	return []line{wall}
}

// growTranscript appends records of Claude Code to the transcript of a team.
func growTranscript(b *testing.B, h *house, team string, size int) {
	b.Helper()
	records, err := os.ReadFile("testdata/transcript.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(h.dir, ".claude", "projects", "*-"+team, "*.jsonl"))
	if len(found) != 1 {
		b.Fatalf("transcripts of team %s: %q", team, found)
	}
	f, err := os.OpenFile(found[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat(records, size/len(records)+1)); err != nil {
		b.Fatal(err)
	}
}
