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

func checkOptions(p *ipc.Send) error {
	usage := func(format string, args ...any) error {
		return fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf(format, args...))
	}
	_, isID := ipc.ParseID(p.ID)
	switch {
	case p.ID != "" && !isID:
		return usage("id is %q: leave it out, or make it as iris does", p.ID)
	case len(p.Key) > 1024 || !utf8.ValidString(p.Key):
		return usage("the key has %d bytes: it must be valid UTF-8 of at most 1024", len(p.Key))
	case p.TTL < 0 || p.TTL > maxTTL.Milliseconds():
		return usage("ttl_ms is %d: it must be between 1 and %d (35 days)", p.TTL, maxTTL.Milliseconds())
	case !slices.Contains([]string{"", "wait", "fail"}, p.IfBusy):
		return usage("if_busy is %q: it must be wait or fail", p.IfBusy)
	case !slices.Contains([]string{"", "continue", "hold", "retry"}, p.OnUnknown):
		return usage("on_unknown is %q: it must be continue, hold or retry", p.OnUnknown)
	case len(p.Origin) > 256:
		return usage("origin has %d bytes, more than 256", len(p.Origin))
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
