package delivery

import (
	"fmt"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// verdict returns how the message ended, from the end of its turn.
func (m *delivery) verdict(res *turn.Result, err error) outcome {
	k, id := m.key(), m.new.ID
	if err != nil {
		e := outcome{state: journal.Failed, err: fault.Of(k, id, err)}
		switch e.err.Code {
		case ipc.CodeCancelled:
			e.state = journal.Cancelled
		case ipc.CodeUnknown:
			e.state = journal.Unknown
		}
		return e
	}
	res = res.For(m.new.Options.Variant.Value())
	switch res.Outcome {
	case turn.Success, turn.Denied:
		return outcome{state: journal.Done, res: res}
	case turn.Interrupted:
		return outcome{state: journal.Cancelled, res: res, err: fault.Of(k, id, pool.ErrCancelled)}
	case turn.Unknown:
		return outcome{state: journal.Unknown, res: res, err: fault.Of(k, id, fmt.Errorf("%w: %s", pool.ErrUnknown, res.Err))}
	}
	return outcome{state: journal.Failed, res: res}
}

// result returns the part of an outcome that the journal keeps.
func (e outcome) result() *journal.Result {
	r := new(journal.Result)
	if e.res != nil {
		r.Result = *e.res
	}
	r.Notice = e.notice
	if e.err != nil {
		r.Code, r.Err, r.Reason, r.Hint = e.err.Code, e.err.Message, e.err.Data.Reason, e.err.Data.Hint
	}
	return r
}

// reportEnd reports the end of the message, which is on record, as an event. The caller
// holds mu.
func (m *delivery) reportEnd() {
	m.d.o.Pool.ReportEnd(m.key(), m.new.ID, m.new.Options.Sender, m.end.detail())
}

// detail is the outcome for an event: the state and, if there is one, a word more. It has
// no text of a message or of an agent.
func (e outcome) detail() string {
	state, more := string(e.state), ""
	switch {
	case e.res != nil:
		more = string(e.res.Outcome)
	case e.err != nil && e.err.Data != nil:
		more = e.err.Data.Reason
	}
	if more == "" || more == state || more == string(turn.Success) {
		return state
	}
	return state + ": " + more
}

// ownModel is the model that answered, empty if the message named a model. The caller
// holds mu.
func (m *delivery) ownModel() string {
	if m.new.Options.Variant.Value().Model != "" {
		return ""
	}
	return m.end.res.Model
}

// recall answers with the recorded end of a message.
func (d *Dispatcher) recall(id string, callerKeys []string) (any, error) {
	m, err := d.o.Store.Message(id)
	if err != nil {
		return nil, d.o.Store.LookupError(id, err)
	}
	k := conversation.Of(&m)
	if !m.State.Ended() {
		return nil, fault.NotEnded(k, m.ID, string(m.State))
	}
	r, err := d.o.Store.Result(id)
	if err != nil {
		return nil, d.o.Store.LookupError(id, err)
	}
	switch {
	case m.State == journal.Expired:
		return nil, fault.Expired(k, id)
	case r != nil && r.Code == ipc.CodeUnknown && m.State != journal.Unknown:
		return d.resolved(k, &m)
	case r != nil && r.Code != 0:
		return nil, &ipc.Error{Code: r.Code, Message: r.Err, Data: &ipc.Data{Reason: r.Reason, Hint: r.Hint, ID: id}}
	case r != nil:
		reply := d.reply(k, id, &r.Result, callerKeys)
		reply.Notice = r.Notice
		return reply, nil
	}
	return d.resolved(k, &m)
}

// resolved answers for a message whose end is on record but not its result: a person has
// resolved it, or it was cancelled before it began.
func (d *Dispatcher) resolved(k pool.Key, m *journal.Message) (any, error) {
	switch m.State {
	case journal.Done:
		return d.reply(k, m.ID, &turn.Result{Outcome: turn.Success}, nil), nil
	case journal.Cancelled:
		return nil, fault.Of(k, m.ID, pool.ErrCancelled)
	}
	more := "nothing more is on record"
	if m.State == journal.Unknown {
		return nil, fault.Of(k, m.ID, fmt.Errorf("%w: %s", pool.ErrUnknown, more))
	}
	if by := m.History[len(m.History)-1].By; by != "" {
		more = by + " says so, " + more
	}
	return nil, fault.Of(k, m.ID, fmt.Errorf("message %s failed: %s", m.ID, more))
}
