package delivery

import (
	"fmt"
	"slices"
	"strings"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// reply is the answer to a client about a turn that ended with a result of the agent.
func (d *Dispatcher) reply(k pool.Key, id string, res *turn.Result, callerKeys []string) ipc.Reply {
	t, err := d.team(k.Team)
	outcome := res.Outcome
	if err == nil && t.DeniedOK && outcome == turn.Denied {
		outcome = turn.Success
	}
	r := ipc.Reply{
		ID: id, Team: k.Team, Session: k.Session, SessionID: res.SessionID,
		Outcome: string(outcome), Text: res.Text, Error: res.Err, Reason: res.Reason,
		Subtype: res.Subtype, APIStatus: res.Status, Turns: res.Turns,
		CostUSD: ipc.Cost(res.CostUSD), Duration: res.Duration.Milliseconds(),
		Usage: ipc.Usage(res.Usage),
	}
	r.Model, r.Resets, r.Background, r.Earlier = res.Model, ipc.Moment(res.Resets), res.Background, res.Earlier
	for _, x := range res.Denials {
		r.Denials = append(r.Denials, ipc.Denial{Tool: x.Tool, Input: x.Input})
	}
	switch {
	case err != nil:
	case outcome == turn.NotLoggedIn:
		r.Hint = d.loginHint(t, callerKeys)
	case outcome == turn.RateLimited && !res.Resets.IsZero():
		r.Hint = fmt.Sprintf("try again at %s; the conversation is kept", res.Resets.Local().Format("2006-01-02 15:04 MST"))
	case res.Reason == turn.RefusedAgain:
		r.Hint = fmt.Sprintf(`if the cause is in the conversation, "%s" takes that back, "%s" begins a new one`,
			fault.Command("session rewind", k), fault.Command("session reset", k))
	case outcome != turn.Denied:
	case res.Reason == turn.ApprovalLost:
		r.Hint = "send it again to be asked anew"
	case res.Reason == turn.Decided: // a person or the deadline denied it
	case t.Approvals == "ask":
	default:
		r.Hint = fmt.Sprintf("allow the tool in %s/.claude/settings.json, or by args of team %s; approvals = \"ask\" asks you", t.Dir, t.Name)
	}
	return r
}

// loginHint says how the agents of a team get credentials. It names the keys that the
// caller's shell has and the agents do not have.
func (d *Dispatcher) loginHint(t *config.Team, callerKeys []string) string {
	vars, err := d.o.Agents.Env.Build(t, d.o.Paths.Socket)
	if err != nil {
		return ""
	}
	missing := slices.DeleteFunc(slices.Clone(callerKeys), func(name string) bool {
		return slices.ContainsFunc(vars, func(v ipc.EnvVar) bool { return v.Name == name })
	})
	if len(missing) > 0 {
		return fmt.Sprintf(`your shell has %s, the agents of team %s have not: put it into an env_file of the team; "%s" shows what they have`,
			strings.Join(missing, ", "), t.Name, fault.Command("config show --env", pool.Key{Team: t.Name}))
	}
	return fmt.Sprintf(`run "%s auth login", or give the team an env_file with ANTHROPIC_API_KEY`, config.ShellQuote(t.Command))
}
