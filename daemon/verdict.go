package daemon

import (
	"errors"
	"fmt"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// verdict is how a message ended, from what the pool says of its turn.
func (d *Daemon) verdict(k pool.Key, id string, res *pool.Result, err error) ended {
	switch {
	case err != nil:
	case res.Outcome == pool.OutcomeInterrupted:
		return ended{state: journal.Cancelled, res: res, err: d.failure(k, id, pool.ErrCancelled)}
	case res.Outcome == pool.OutcomeSuccess, res.Outcome == pool.OutcomeDenied:
		return ended{state: journal.Done, res: res}
	default:
		return ended{state: journal.Failed, res: res}
	}
	e := d.failure(k, id, err)
	switch e.Code {
	case ipc.CodeCancelled:
		return ended{state: journal.Cancelled, err: e}
	case ipc.CodeUnknown:
		return ended{state: journal.Unknown, err: e}
	}
	return ended{state: journal.Failed, err: e}
}

// result is what the journal keeps of an end.
func (e ended) result() *journal.Result {
	r := new(journal.Result)
	if e.res != nil {
		*r = toRecord(e.res)
	}
	r.Notice = e.notice
	if e.err != nil {
		r.Code, r.Error, r.Reason, r.Hint = e.err.Code, e.err.Message, e.err.Data.Reason, e.err.Data.Hint
	}
	return r
}

func toRecord(res *pool.Result) journal.Result {
	r := journal.Result{
		Outcome: string(res.Outcome), Text: res.Text, Error: res.Err, SessionID: res.SessionID,
		Subtype: res.Subtype, Stop: res.Stop, Terminal: res.Terminal, Status: res.Status,
		Turns: res.Turns, CostUSD: res.CostUSD, Duration: res.Duration, API: res.API,
		Usage: journal.Usage(res.Usage), Retire: res.Retire, Resets: res.Resets, Model: res.Model, Background: res.Background, Reason: res.Reason,
	}
	for _, x := range res.Denials {
		r.Denials = append(r.Denials, journal.Denial(x))
	}
	return r
}

func fromRecord(r *journal.Result) *pool.Result {
	res := &pool.Result{
		Outcome: pool.Outcome(r.Outcome), Text: r.Text, Err: r.Error, SessionID: r.SessionID,
		Subtype: r.Subtype, Stop: r.Stop, Terminal: r.Terminal, Status: r.Status,
		Turns: r.Turns, CostUSD: r.CostUSD, Duration: r.Duration, API: r.API,
		Usage: pool.Usage(r.Usage), Retire: r.Retire, Resets: r.Resets, Model: r.Model, Background: r.Background, Reason: r.Reason,
	}
	for _, x := range r.Denials {
		res.Denials = append(res.Denials, pool.Denial(x))
	}
	return res
}

// recall answers with the end of a message that is on record.
func (d *Daemon) recall(id string, callerKeys []string) (any, error) {
	m, err := d.journal.Message(id)
	if err != nil {
		return nil, d.lookupError(id, err)
	}
	k := conversationOf(&m)
	if !m.State.Ended() {
		return nil, notEnded(k, &m)
	}
	r, err := d.journal.Result(id)
	if err != nil {
		return nil, d.lookupError(id, err)
	}
	switch {
	case m.State == journal.Expired:
		return nil, expiredError(k, id)
	case r != nil && r.Code == ipc.CodeUnknown && m.State != journal.Unknown:
		return d.resolved(k, &m)
	case r != nil && r.Code != 0:
		e := &ipc.Error{Code: r.Code, Message: r.Error, Data: &ipc.Data{Reason: r.Reason, Hint: r.Hint, ID: id}}
		if now := d.standIn(id); now != id {
			e.Data.Hint = fmt.Sprintf("it was sent again as %s; %q waits for that", now, "iris wait "+now)
		}
		return nil, e
	case r != nil:
		reply := d.reply(k, id, fromRecord(r), callerKeys)
		reply.Notice = r.Notice
		return reply, nil
	}
	return d.resolved(k, &m)
}

// resolved answers for a message of which only the end is known: a person has
// said what it was, or it was cancelled before it began.
func (d *Daemon) resolved(k pool.Key, m *journal.Message) (any, error) {
	switch m.State {
	case journal.Done:
		return d.reply(k, m.ID, &pool.Result{Outcome: pool.OutcomeSuccess}, nil), nil
	case journal.Cancelled:
		return nil, d.failure(k, m.ID, pool.ErrCancelled)
	}
	last := m.History[len(m.History)-1]
	return nil, d.failure(k, m.ID, fmt.Errorf("message %s failed: %s says so, nobody knows more", m.ID, last.By))
}

// lookupError says that a message cannot be read.
func (d *Daemon) lookupError(id string, err error) error {
	if errors.Is(err, journal.ErrNotFound) {
		return noMessage(id)
	}
	return withID(coded(ipc.CodeFailed, "journal", d.journalError(err)), id)
}

func noMessage(id string) *ipc.Error {
	e := coded(ipc.CodeNotFound, "no-such-message", fmt.Errorf("no message %q", id))
	e.Data.Hint = `"iris messages" lists those on record`
	return withID(e, id)
}

func notEnded(k pool.Key, m *journal.Message) *ipc.Error {
	e := coded(ipc.CodeFull, "not-ended", fmt.Errorf("team %s: message %s is %s", k, m.ID, m.State))
	e.Data.Hint = fmt.Sprintf("%q waits for its end", "iris wait "+m.ID)
	return withID(e, m.ID)
}

func expiredError(k pool.Key, id string) *ipc.Error {
	return withID(coded(ipc.CodeExpired, "expired", fmt.Errorf("team %s: the message had not begun when its time was over, and will not run", k)), id)
}

// stoppingError says that a message waits for the next daemon.
func stoppingError(k pool.Key, id string) *ipc.Error {
	e := coded(ipc.CodeFull, "stopping", fmt.Errorf("team %s: the daemon is stopping; message %s stays queued for the next one", k, id))
	e.Data.Hint = fmt.Sprintf("%q starts it and waits", "iris wait "+id)
	return withID(e, id)
}

// leftError says that a turn goes on without a daemon.
func leftError(k pool.Key, id string) *ipc.Error {
	e := coded(ipc.CodeFull, "stopping", fmt.Errorf("team %s: the daemon is stopping; the turn of message %s goes on without it", k, id))
	e.Data.Hint = fmt.Sprintf("%q has the next daemon look for the answer", "iris wait "+id)
	return withID(e, id)
}

// lostError says that an end could not be recorded; the next daemon finds it in
// the agent's spool.
func lostError(k pool.Key, id string) *ipc.Error {
	e := coded(ipc.CodeUnknown, "journal", fmt.Errorf("team %s: the end of message %s could not be recorded", k, id))
	e.Data.Hint = fmt.Sprintf("%q asks the next daemon, which looks into the agent's output", "iris wait "+id)
	return withID(e, id)
}

func withID(e *ipc.Error, id string) *ipc.Error {
	e.Data.ID = id
	return e
}
