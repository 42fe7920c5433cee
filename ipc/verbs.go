package ipc

import (
	"context"
	"encoding/json"
	"slices"
)

// Verbs has a method for each call to the daemon. A Verbs makes one call: it takes
// the method, its params and a pointer to its result, as Client.Call does. A program
// that connects anew for each call passes its own function.
type Verbs func(ctx context.Context, method string, params, result any) error

// ask makes a call whose result is an R.
func ask[R any](ctx context.Context, v Verbs, method string, params any) (R, error) {
	var result R
	err := v(ctx, method, params, &result)
	return result, err
}

// askReply is ask for a reply, which may be large. It returns nil with an error.
func askReply(ctx context.Context, v Verbs, method string, params any) (*Reply, error) {
	reply := new(Reply)
	if err := v(ctx, method, params, reply); err != nil {
		return nil, err
	}
	return reply, nil
}

// Send sends a message and waits for the reply.
func (v Verbs) Send(ctx context.Context, m Send) (*Reply, error) {
	return askReply(ctx, v, MethodSend, &m)
}

// Submit sends a message and returns once it is on disk.
func (v Verbs) Submit(ctx context.Context, m Send) (MessageState, error) {
	return ask[MessageState](ctx, v, MethodSubmit, &m)
}

// Wait returns the first of some messages that has ended.
func (v Verbs) Wait(ctx context.Context, w Wait) (MessageState, error) {
	return ask[MessageState](ctx, v, MethodWait, &w)
}

// Stream streams the output of a message to OnNotify, and returns when the message
// has ended.
func (v Verbs) Stream(ctx context.Context, s Stream) (StreamEnd, error) {
	return ask[StreamEnd](ctx, v, MethodStream, &s)
}

// Result returns the reply to a message that has ended.
func (v Verbs) Result(ctx context.Context, ref MessageRef) (*Reply, error) {
	return askReply(ctx, v, MethodResult, &ref)
}

// Messages returns a page of messages.
func (v Verbs) Messages(ctx context.Context, q MessageQuery) (MessageList, error) {
	return ask[MessageList](ctx, v, MethodMessages, &q)
}

// Find returns the id of the message that a reference names.
func (v Verbs) Find(ctx context.Context, ref MessageRef) (string, error) {
	found, err := ask[MessageID](ctx, v, MethodFind, &ref)
	return found.ID, err
}

// Show returns a message with its history.
func (v Verbs) Show(ctx context.Context, ref MessageRef) (Message, error) {
	return ask[Message](ctx, v, MethodShow, &ref)
}

// Usage sums up what messages have taken.
func (v Verbs) Usage(ctx context.Context, q UsageQuery) (UsageSums, error) {
	return ask[UsageSums](ctx, v, MethodUsage, &q)
}

// Why returns what a message waits or waited for, or why the agents of a team went.
func (v Verbs) Why(ctx context.Context, q WhyQuery) (Why, error) {
	return ask[Why](ctx, v, MethodWhy, &q)
}

// Cancel takes a message out of the queue, or interrupts its turn.
func (v Verbs) Cancel(ctx context.Context, id string) (MessageState, error) {
	return ask[MessageState](ctx, v, MethodCancel, &MessageID{ID: id})
}

// Retry runs an ended message again.
func (v Verbs) Retry(ctx context.Context, r Retry) (MessageState, error) {
	return ask[MessageState](ctx, v, MethodRetry, &r)
}

// Resolve records how an unknown message ended.
func (v Verbs) Resolve(ctx context.Context, r Resolve) (MessageState, error) {
	return ask[MessageState](ctx, v, MethodResolve, &r)
}

// Approvals returns the approvals that wait, the oldest first.
func (v Verbs) Approvals(ctx context.Context, f ApprovalFilter) ([]Approval, error) {
	list, err := ask[ApprovalList](ctx, v, MethodApprovals, &f)
	return list.Approvals, err
}

// Decide decides about an approval.
func (v Verbs) Decide(ctx context.Context, d Decide) (Approval, error) {
	return ask[Approval](ctx, v, MethodDecide, &d)
}

// Caller returns who the daemon takes the caller for.
func (v Verbs) Caller(ctx context.Context) (Caller, error) {
	return ask[Caller](ctx, v, MethodCaller, nil)
}

// Processes returns the live agents, and if q says so those that went.
func (v Verbs) Processes(ctx context.Context, q ProcessQuery) (ProcessList, error) {
	return ask[ProcessList](ctx, v, MethodList, &q)
}

// Trees returns the live agents with the processes that they have started.
func (v Verbs) Trees(ctx context.Context) ([]AgentTree, error) {
	tree, err := ask[ProcessTree](ctx, v, MethodTree, nil)
	return tree.Agents, err
}

// Kill stops agents now.
func (v Verbs) Kill(ctx context.Context, t Target) (Stopped, error) {
	return ask[Stopped](ctx, v, MethodKill, &t)
}

// Evict stops idle agents now, and busy ones after their turn.
func (v Verbs) Evict(ctx context.Context, t Target) (Stopped, error) {
	return ask[Stopped](ctx, v, MethodEvict, &t)
}

// Restart replaces agents between turns.
func (v Verbs) Restart(ctx context.Context, t Target) (Stopped, error) {
	return ask[Stopped](ctx, v, MethodRestart, &t)
}

// Wake starts the agent of a conversation, and returns when it is ready.
func (v Verbs) Wake(ctx context.Context, t Target) (Process, error) {
	return ask[Process](ctx, v, MethodWake, &t)
}

// Events returns events that are kept.
func (v Verbs) Events(ctx context.Context, q EventQuery) (EventList, error) {
	return ask[EventList](ctx, v, MethodEvents, &q)
}

// Subscribe streams events to OnNotify, and returns when they end.
func (v Verbs) Subscribe(ctx context.Context, q EventQuery) (Gap, error) {
	return ask[Gap](ctx, v, MethodSubscribe, &q)
}

// Sessions returns all conversations.
func (v Verbs) Sessions(ctx context.Context) ([]Conversation, error) {
	list, err := ask[ConversationList](ctx, v, MethodSessions, nil)
	return list.Conversations, err
}

// Reset forgets a conversation, and returns it.
func (v Verbs) Reset(ctx context.Context, t Target) (Conversation, error) {
	return ask[Conversation](ctx, v, MethodReset, &t)
}

// Rewind takes back the last turns of a conversation.
func (v Verbs) Rewind(ctx context.Context, r Rewind) (Rewound, error) {
	return ask[Rewound](ctx, v, MethodRewind, &r)
}

// Attach returns the program with which a person sits down in a conversation.
func (v Verbs) Attach(ctx context.Context, a Attach) (Terminal, error) {
	return ask[Terminal](ctx, v, MethodAttach, &a)
}

// Attached says which process the program of a Terminal is, or that it has ended.
func (v Verbs) Attached(ctx context.Context, a Attached) error {
	return v(ctx, MethodAttached, &a, nil)
}

// Adopt makes a session of Claude Code the conversation of a team.
func (v Verbs) Adopt(ctx context.Context, a Adopt) (Adopted, error) {
	return ask[Adopted](ctx, v, MethodAdopt, &a)
}

// Move gives the conversations of one team to another, and returns them.
func (v Verbs) Move(ctx context.Context, m Move) ([]Conversation, error) {
	list, err := ask[ConversationList](ctx, v, MethodMove, &m)
	return list.Conversations, err
}

// Locate returns where the transcript of a message or a conversation is.
func (v Verbs) Locate(ctx context.Context, ref MessageRef) (Transcript, error) {
	return ask[Transcript](ctx, v, MethodLocate, &ref)
}

// Env returns the environment of a team's agents.
func (v Verbs) Env(ctx context.Context, q EnvQuery) (Env, error) {
	return ask[Env](ctx, v, MethodEnv, &q)
}

// Examine returns what agents of the teams would find.
func (v Verbs) Examine(ctx context.Context) (Examination, error) {
	return ask[Examination](ctx, v, MethodExamine, nil)
}

// Accounts returns the accounts of all teams, by name.
func (v Verbs) Accounts(ctx context.Context) ([]Account, error) {
	list, err := ask[AccountList](ctx, v, MethodAccounts, nil)
	return list.Accounts, err
}

// Budgets returns the budgets that limit a team; all, if its name is empty.
func (v Verbs) Budgets(ctx context.Context, team string) ([]Budget, error) {
	list, err := ask[BudgetList](ctx, v, MethodBudgets, &BudgetQuery{Team: team})
	return list.Budgets, err
}

// Open has the messages of an account that is limited go on, and returns it as it was.
func (v Verbs) Open(ctx context.Context, name string) (Account, error) {
	return ask[Account](ctx, v, MethodOpen, &AccountName{Name: name})
}

// Status returns the state of the daemon and its pool.
func (v Verbs) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, v, MethodStatus, nil)
}

// Reload has the daemon read its configuration again.
func (v Verbs) Reload(ctx context.Context) (Reloaded, error) {
	return ask[Reloaded](ctx, v, MethodReload, nil)
}

// Stop ends the daemon. It returns when the daemon is about to exit.
func (v Verbs) Stop(ctx context.Context, p StopParams) error {
	return v(ctx, MethodStop, &p, nil)
}

// Replace has the daemon replace its program; see Restart.
func (v Verbs) Replace(ctx context.Context, r Restart) error {
	return v(ctx, MethodReplace, &r, nil)
}

// Idempotent reports whether a call changes nothing, so that a client may repeat it
// when the answer was lost.
func Idempotent(method string) bool {
	return slices.Contains([]string{
		MethodList, MethodStatus, MethodEvents, MethodEnv, MethodSessions, MethodMessages, MethodFind, MethodShow, MethodResult,
		MethodApprovals, MethodCaller, MethodLocate, MethodAttached, MethodExamine, MethodUsage, MethodTree, MethodWhy, MethodAccounts, MethodBudgets,
	}, method)
}

// Handlers are called with the notifications of the daemon, in order. Notifications
// without a handler are ignored.
type Handlers struct {
	State   func(MessageState)
	Output  func(Output)
	Gap     func(OutputGap)
	Begin   func(Begin)
	Event   func(Event)
	Asked   func(Approval)
	Decided func(Approval)
}

// Notify calls the handler of a notification. Use it as Client.OnNotify.
func (h *Handlers) Notify(method string, params json.RawMessage) {
	switch method {
	case NotifyState:
		handle(h.State, params)
	case NotifyOutput:
		handle(h.Output, params)
	case NotifyGap:
		handle(h.Gap, params)
	case NotifyBegin:
		handle(h.Begin, params)
	case NotifyEvent:
		handle(h.Event, params)
	case NotifyAsked:
		handle(h.Asked, params)
	case NotifyDecided:
		handle(h.Decided, params)
	}
}

func handle[P any](f func(P), params json.RawMessage) {
	var p P
	if f != nil && json.Unmarshal(params, &p) == nil {
		f(p)
	}
}
