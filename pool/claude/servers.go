package claude

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// firstWithin is how long the first turn of a process may take to begin before the
// agent is asked what it waits for, and the time between two such questions.
const firstWithin = time.Second

// firstTurn is the time between the first message of a process and its first turn. An
// MCP server that never answers makes it half a minute long.
type firstTurn struct {
	watched sync.Once
	begun   chan struct{} // closed when it begins

	over bool   // it has begun; the process' mu protects over and on
	on   string // what the agent waits for
}

// begins is called at each turn. The caller holds the process' mu.
func (f *firstTurn) begins() {
	if !f.over {
		f.over, f.on = true, ""
		close(f.begun)
	}
}

// WaitsFor says what the agent waits for before its first turn; empty if it waits for
// nothing or it is unknown.
func (p *Process) WaitsFor() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first.on
}

// watchFirst asks the agent what it waits for, from a second after its first message
// until its first turn begins. It is called for each message.
func (p *Process) watchFirst() {
	p.first.watched.Do(func() { p.wg.Go(p.untilFirst) })
}

func (p *Process) untilFirst() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(firstWithin)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !p.hasMessage() { // the message has ended without a turn, such as a command of the program
				return
			}
			p.waitsOn(ctx)
		case <-p.first.begun:
			return
		case <-p.done:
			return
		}
	}
}

func (p *Process) hasMessage() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.turn != nil
}

// waitsOn asks once, and reports an answer that differs from the last one.
func (p *Process) waitsOn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstWithin)
	defer cancel()
	servers, err := p.mcpServers(ctx)
	if err != nil {
		return
	}
	var pending []string
	for _, s := range servers {
		if s.Status == "pending" {
			pending = append(pending, s.Name)
		}
	}
	on := ""
	if len(pending) > 0 {
		on = "MCP server " + strings.Join(pending, ", ")
	}
	p.mu.Lock()
	news := on != "" && on != p.first.on && !p.first.over
	if !p.first.over {
		p.first.on = on
	}
	p.mu.Unlock()
	if news && p.o.OnWaits != nil {
		p.o.OnWaits(on)
	}
}

// mcpServer is an MCP server as the agent sees it.
type mcpServer struct {
	Name   string `json:"name"`
	Status string `json:"status"` // connected, pending, failed, ...
	Error  string `json:"error"`
}

func (p *Process) mcpServers(ctx context.Context) ([]mcpServer, error) {
	r, err := p.call(ctx, "mcp_status")
	if err != nil {
		return nil, err
	}
	var body struct {
		Servers []mcpServer `json:"mcpServers"`
	}
	decode(r.Body, &body)
	return body.Servers, nil
}

// Unreachable names the MCP servers that have not answered the agent, each with the
// reason.
func (p *Process) Unreachable(ctx context.Context) ([]string, error) {
	servers, err := p.mcpServers(ctx)
	var list []string
	for _, s := range servers {
		switch s.Status {
		case "pending":
			list = append(list, s.Name+": no answer yet")
		case "failed":
			list = append(list, strings.TrimSuffix(s.Name+": "+oneLine(s.Error), ": "))
		}
	}
	slices.Sort(list)
	return list, err
}
