package conversation

import (
	"cmp"
	"context"

	"iris/pool"
	"iris/pool/turn"
)

// PinModel returns the model for the next agent of a conversation, empty if none must
// be set. By itself a conversation continues with the model of its last answer: so
// once a message asks for another model, the conversation's own is recorded before
// the agent of that message starts.
func (r *Registry) PinModel(k pool.Key, fresh bool, v turn.Variant) (model string, err error) {
	if fresh {
		return "", nil
	}
	s, ok, err := r.store.Session(Name(k))
	switch {
	case err != nil || !ok:
		return "", err
	case v.Model == "" && s.Lent:
		return cmp.Or(s.Model, "default"), nil
	case v.Model != "" && !s.Lent:
		s.Lent = true
		return "", r.store.SetSession(Name(k), s)
	}
	return "", nil
}

// RecordDefaultModel records the model of a conversation whose first message asked
// for another one: ask has the agent read it from its settings.
func (r *Registry) RecordDefaultModel(ctx context.Context, k pool.Key, ask func(context.Context) (string, error), v turn.Variant) {
	if v.Model == "" || IsFresh(k) {
		return
	}
	s, ok, err := r.store.Session(Name(k))
	if err == nil && ok && s.Model == "" {
		if s.Model, err = ask(ctx); err == nil {
			err = r.store.SetSession(Name(k), s)
		}
	}
	if err != nil {
		r.store.Log.Warn("model of conversation not recorded", "team", k.Team, "session", k.Session, "err", err)
	}
}
