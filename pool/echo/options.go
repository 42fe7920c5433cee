package echo

import "strings"

// Options are the flags of Claude Code that change the lines. All others are accepted
// and ignored.
type Options struct {
	SessionID string   // --session-id, or the id to resume; a new one when neither is given
	Resume    bool     // --resume
	Named     bool     // --session-id or --resume was given
	Partial   bool     // --include-partial-messages
	Replay    bool     // --replay-user-messages
	Model     string   // --model
	Mode      string   // --permission-mode
	Bypass    bool     // a message may set bypassPermissions
	Args      []string // the whole command line
}

// ParseOptions reads flags in both of their forms, --x v and --x=v. It never
// fails.
func ParseOptions(args []string) Options {
	o := Options{Args: args}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		switch name {
		case "--include-partial-messages":
			o.Partial = true
		case "--replay-user-messages":
			o.Replay = true
		case "--dangerously-skip-permissions":
			o.Mode, o.Bypass = "bypassPermissions", true
		case "--allow-dangerously-skip-permissions":
			o.Bypass = true
		case "--session-id", "--resume", "-r", "--model", "--permission-mode":
			if !joined && i+1 < len(args) {
				i++
				value = args[i]
			}
			o.set(name, value)
		}
	}
	if o.SessionID == "" {
		o.SessionID = NewUUID()
	}
	return o
}

func (o *Options) set(name, value string) {
	switch name {
	case "--model":
		o.Model = value
	case "--permission-mode":
		o.Mode, o.Bypass = value, o.Bypass || value == "bypassPermissions"
	case "--session-id":
		o.SessionID, o.Named = value, true
	default:
		o.SessionID, o.Named, o.Resume = value, true, true
	}
}
