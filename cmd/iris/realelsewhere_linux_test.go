package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"iris/pool/claude"
	"iris/pool/procs"
)

// session returns the id of the conversation.
func (p *parlor) session() string {
	p.T.Helper()
	var all []struct {
		ID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(p.house.run("session", "ls", "--json")), &all); err != nil || len(all) != 1 {
		p.Fatal(all, err)
	}
	return all[0].ID
}

// byHand runs Claude Code as somebody does who has no iris.
func (p *parlor) byHand(args ...string) *exec.Cmd { return p.real.command(p.house, args...) }

// leavesByHand has such a Claude Code end.
func (p *parlor) leavesByHand(tty *pty) {
	p.T.Helper()
	p.types(tty, "/exit", func() bool { return gone(tty.cmd.Process.Pid) })
	tty.ends()
}

// gone reports whether a process has ended.
func gone(pid int) bool { return !procs.Identify(pid).Alive() }

func TestRealAgentIsReplacedWhenItsConversationWentOnElsewhere(t *testing.T) {
	p := newParlor(t)
	p.house.run("send", "real", "echo:one")
	id := p.session()
	run(t, p.byHand("-p", "--resume", id, "echo:two"))
	p.knows("one", "two")
	p.knows("one", "two")
	if all := p.house.run("ps", "--all"); strings.Count(all, "\nreal ") != 2 || strings.Count(all, "the conversation went on elsewhere") != 2 {
		t.Errorf("one agent, and one before it that was replaced: got %s", all)
	}

	hand := p.opens(p.byHand("--resume", id))
	open := fmt.Sprintf("conversation %s is open elsewhere, in the Claude Code with process id %d", id, hand.cmd.Process.Pid)
	p.eventually("its file", func() bool {
		return claude.SessionOf(filepath.Join(p.dir, ".claude"), hand.cmd.Process.Pid) == id
	})
	p.want(75, open, "send", "real", "echo:no")
	second := onTerminal(t, p.command("attach", "real"), 100, 30)
	if status, out := second.ends(); status != 75 || !strings.Contains(out, open) {
		t.Errorf("a second terminal: status %d, %q", status, out)
	}
	p.says(hand, "three")
	p.leavesByHand(hand)
	p.knows("one", "two", "three")
}

func TestRealSessionIsAdopted(t *testing.T) {
	p := newParlor(t)
	const id = "5f6b2a4e-3c1d-4b8a-9e7f-2d1c0b9a8e7d"
	p.want(4, "no session "+id+" of Claude Code in ", "adopt", "real", id)
	p.want(2, "is no session id of Claude Code", "adopt", "real", "5f6b")
	hand := p.opens(p.byHand("--session-id", id))
	p.says(hand, "one")
	p.want(75, fmt.Sprintf("conversation %s is open elsewhere, in the Claude Code with process id %d", id, hand.cmd.Process.Pid), "adopt", "real", id)
	p.leavesByHand(hand)
	p.house.run("adopt", "real", id)
	p.house.run("adopt", "real", id) // harmless
	p.knows("one")
	p.want(2, "session "+id+" is the conversation of team real already", "adopt", "real@idea", id)
	p.want(2, "team real has a conversation already", "adopt", "real", strings.Replace(id, "5f6b", "5f6c", 1))
}
