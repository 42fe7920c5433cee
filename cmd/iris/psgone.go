package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// goneSpan is how far back "iris ps -a" looks.
const goneSpan = 24 * time.Hour

// allAgents is what "iris ps -a --json" prints.
type allAgents struct {
	Agents []ipc.Process   `json:"agents"`
	Gone   []ipc.GoneAgent `json:"gone"`
}

// print prints the live agents, and with -a those that went.
func (o *psOptions) print(w io.Writer, list *ipc.ProcessList) error {
	err := printProcesses(w, list)
	if err != nil || !o.all {
		return err
	}
	fmt.Fprintln(w)
	now, home := time.Now(), os.Getenv("HOME")
	var rows [][]string
	for i := range list.Gone {
		g := &list.Gone[i]
		rows = append(rows, append(goneRow(g, now, home), short(g.Ended.Sub(g.Started)), g.Why))
	}
	return terminal.FitTable(w, []string{"NAME", "WENT", "TURNS", "LIVED", "WHY"}, rows)
}
