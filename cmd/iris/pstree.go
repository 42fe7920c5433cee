package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"iris/ipc"
)

func runPsTree(ctx context.Context, opts psOptions, stdout io.Writer) error {
	var t ipc.ProcessTree
	if err := opts.call(ctx, ipc.MethodTree, nil, &t); err != nil {
		return err
	}
	if opts.json {
		return printJSON(stdout, orEmpty(t.Agents))
	}
	return printTree(stdout, widthOf(stdout, 0), &t)
}

// printTree cuts command lines so that a line has that width.
func printTree(stdout io.Writer, width int, t *ipc.ProcessTree) error {
	var rows [][]string
	home := os.Getenv("HOME")
	for i := range t.Agents {
		rows = append(rows, treeRows(&t.Agents[i], home)...)
	}
	header := []string{"NAME", "PID", "MEMORY", "COMMAND"}
	fit(width, header, rows)
	return printTable(stdout, header, rows)
}

// treeRows are the lines of an agent: itself, what is below it in the order of
// its descent, and what has made itself a daemon.
func treeRows(a *ipc.AgentTree, home string) [][]string {
	pid := ""
	if a.PID > 0 {
		pid = strconv.Itoa(a.PID)
	}
	rows := [][]string{{tilde(name(a.Team, a.Session), home), pid, size(a.Memory), "(" + a.State + ")"}}
	below := map[int][]*ipc.TreeProcess{}
	pids := map[int]bool{}
	for i := range a.Processes {
		pids[a.Processes[i].PID] = true
	}
	for i := range a.Processes {
		p := &a.Processes[i]
		parent := p.Parent
		if !pids[parent] {
			parent = 0 // the agent, or for a daemon whatever took it over
		}
		below[parent] = append(below[parent], p)
	}
	var add func(p *ipc.TreeProcess, depth int)
	add = func(p *ipc.TreeProcess, depth int) {
		text := strings.Join(p.Command, " ")
		if p.Daemon && depth == 1 {
			text = "daemon: " + text
		}
		rows = append(rows, []string{" ", strconv.Itoa(p.PID), size(p.Memory), strings.Repeat("  ", depth) + text})
		for _, child := range below[p.PID] {
			add(child, depth+1)
		}
	}
	slices.SortStableFunc(below[0], func(a, b *ipc.TreeProcess) int { return compareBool(a.Daemon, b.Daemon) })
	for _, p := range below[0] {
		add(p, 1)
	}
	return rows
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
