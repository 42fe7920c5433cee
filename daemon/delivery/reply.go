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
	case res.Reason == turn.HelperFailed:
		r.Hint = "apiKeyHelper is a command in a settings.json of Claude Code: run it by hand, and fix it there"
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
	case t.Adapter() != "":
		r.Hint = fmt.Sprintf("allow the tool in the configuration of %s; approvals = \"ask\" of team %s asks you", t.Program(), t.Name)
	default:
		r.Hint = fmt.Sprintf("allow the tool by args of team %s, or in %s/.claude/settings.json, which counts only where you have trusted "+
			"the directory in Claude Code; approvals = \"ask\" asks you", t.Name, t.Dir)
	}
	return r
}

// loginHint says how the agents of a team get credentials: first what is wrong with their
// environment, which is the likely cause.
func (d *Dispatcher) loginHint(t *config.Team, callerKeys []string) string {
	hint := d.credentialsHint(t, callerKeys)
	if wrong := d.o.Agents.Env.Warnings(); len(wrong) > 0 && hint != "" {
		return strings.Join(wrong, "; ") + "; if that does not help: " + hint
	}
	return hint
}

// credentialsHint names the variables that the caller's shell or the login shell has and the
// agents do not have.
func (d *Dispatcher) credentialsHint(t *config.Team, callerKeys []string) string {
	if t.Adapter() != "" {
		return fmt.Sprintf("log in with %s in a terminal, or give team %s an env_file with its key", t.Program(), t.Name)
	}
	env, err := d.o.Agents.Env.Known(t, d.o.Paths.Socket)
	if err != nil {
		return ""
	}
	login := config.ShellQuote(t.Program()) + " auth login"
	if len(env.Withheld) > 0 {
		return fmt.Sprintf(`your login shell has %s, the agents of team %s have not: list what they need in pass_env of the team; or run "%s"`,
			strings.Join(env.Withheld, ", "), t.Name, login)
	}
	missing := slices.DeleteFunc(slices.Clone(callerKeys), env.Has)
	if len(missing) > 0 {
		return fmt.Sprintf(`your shell has %s, the agents of team %s have not: put it into an env_file of the team; "%s" shows what they have`,
			strings.Join(missing, ", "), t.Name, fault.Command("config show --env", pool.Key{Team: t.Name}))
	}
	return fmt.Sprintf(`run "%s", or give the team an env_file with ANTHROPIC_API_KEY`, login)
}
