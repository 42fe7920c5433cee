package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/turn"
)

// maxTTL is the longest time that a message may wait for its turn.
const maxTTL = journal.Retention

// maxOrigin is the size of the longest origin.
const maxOrigin = 256

func checkOptions(p *ipc.Send) error {
	if err := checkOwnID("id", p.ID); err != nil {
		return err
	}
	switch {
	case len(p.Key) > 1024 || !utf8.ValidString(p.Key):
		return fault.BadOption("the key has %d bytes: it must be valid UTF-8 of at most 1024", len(p.Key))
	case p.TTL < 0 || p.TTL > maxTTL.Milliseconds():
		return fault.BadOption("ttl_ms is %d: it must be between 1 and %d (35 days)", p.TTL, maxTTL.Milliseconds())
	case !slices.Contains([]string{"", "wait", "fail"}, p.IfBusy):
		return fault.BadOption("if_busy is %q: it must be wait or fail", ipc.Clip(p.IfBusy, 64))
	case !slices.Contains([]string{"", "continue", "hold", "retry"}, p.OnUnknown):
		return fault.BadOption("on_unknown is %q: it must be continue, hold or retry", ipc.Clip(p.OnUnknown, 64))
	case !slices.Contains([]string{"", "wait", "fail"}, p.OnLimit):
		return fault.BadOption("on_limit is %q: it must be wait or fail", ipc.Clip(p.OnLimit, 64))
	case len(p.Origin) > maxOrigin || !utf8.ValidString(p.Origin):
		return fault.BadOption("origin has %d bytes: it must be valid UTF-8 of at most %d", len(p.Origin), maxOrigin)
	}
	return nil
}

// checkOwnID checks an id that a sender has made.
func checkOwnID(name, id string) error {
	if _, isID := ipc.ParseID(id); id != "" && !isID {
		return fault.BadOption("%s is %q: leave it out, or make it as iris does", name, ipc.Clip(id, 64))
	}
	return nil
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fault.New(ipc.CodeUsage, "blank", errors.New("the message is blank"))
	case len(text) > agents.MaxMessage:
		return fault.New(ipc.CodeUsage, "too-large", fmt.Errorf("the message has %d bytes, more than the %d that are allowed", len(text), agents.MaxMessage))
	case !utf8.ValidString(text):
		return fault.New(ipc.CodeUsage, "not-utf8", errors.New("the message is not valid UTF-8"))
	}
	return nil
}

// checkVariant checks the options that a message sets for its agent.
func (d *Dispatcher) checkVariant(team string, p *ipc.Send) error {
	t, err := d.team(team)
	if err != nil {
		return fault.Team(err)
	}
	if err := agents.CheckVariant(t, p.Options); err != nil {
		return fault.New(ipc.CodeUsage, "bad-option", err)
	}
	return nil
}

// checkPermissionMode refuses a message with allowed tools or a permission mode if an agent
// sends it: an agent could allow its own tool calls that way. The mode plan does no harm.
func (d *Dispatcher) checkPermissionMode(c *ipc.Call, o *turn.Variant) error {
	switch {
	case o.AllowedTools != "":
		return d.o.Agents.CheckCaller(c, "send a message that allows tools")
	case o.PermissionMode != "" && o.PermissionMode != "plan":
		return d.o.Agents.CheckCaller(c, "send a message with a permission mode")
	}
	return nil
}
