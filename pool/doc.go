// Package pool keeps a bounded number of warm agents and takes messages to
// them: least recently used, one turn at a time per key, nobody's turn twice.
//
// It knows nothing of processes, files, protocols or the contents of messages. It
// gets agents of the caller's own type from [Config].Start, and asks of them no
// more than [Agent] says. A message comes as a [Turn] and the [Run] that takes it
// to its agent. It keeps nothing on disk: the caller remembers the messages that
// are in the pool when the program dies.
//
// # The flow of a turn
//
//	Submit ── admitted? ──▶ queue of its key ──▶ slot ──▶ Run
//	   │                      │     ▲                      │ Grant.Begin    before the first byte
//	   ▼                      ▼     │                      │ the turn, with the agent
//	 refused             Run with   └──── Again ────────── │ Grant.Release  the slot is idle, or stops
//	 (no Run)            an error                          ▼ the record of its end
//	                                                    the next turn of the key
//
// There is one queue of messages for each [Key], first in, first out. From
// Release on the slot is free; the next message of the key starts when Run has
// returned, so that the record of the end is there. A turn whose agent turns out
// to be stale, or that did not reach its agent ([ErrNotDispatched]), goes back to
// the head of its queue and to another agent, so Run may be called more than once
// for a turn. After three agents a stale one is used all the same, and a turn that
// does not reach its agent ends. A turn that gets no agent (cancelled, shut down,
// no agent starts) has its Run called once, with the reason.
//
// # The life of a slot
//
//	              Start returned         message
//	reserved ──▶ starting ──▶ idle ──────────────────▶ busy
//	   ▲             │         │ ▲                      │ │
//	   │             │         │ └── ended by the ──────┘ │
//	   │             │         │     agent's own word     │ anything else
//	   │             ▼         ▼                          │
//	   │          stopping ◀───┴──────────────────────────┘
//	   │             │ the process is gone and its turn has ended
//	   └── gone ◀────┘
//
// Every state but gone takes a place, so that there are never more processes
// than [Limits].MaxProcesses. A slot is the identity of an agent: late news of an
// old agent cannot touch its successor. A start belongs to the pool;
// a caller who gives up does not end it, and the agent goes idle.
//
// # Who gets a place
//
// A key that has messages and no slot needs a place. Such keys are served by the
// age of their first message. When no place is free and none is on its way, the
// least recently used idle agent is stopped. Busy agents are left alone, unless
// WhenFull is [WhenFullEvict]: then the turn that began first ends with
// [ErrEvicted], but never a turn that waits for the message.
//
// An agent whose own queue is never empty would keep its place for ever. At the
// end of a turn it gives way to a message of another key that has waited longer
// than FairWait, if it has been ready for FairWait itself; its own queue then
// counts as having waited since that moment. So teams that all have more than
// they can do change over at that pace, and not after every turn.
//
// A key can be held ([Pool.Hold]): its messages wait, whatever is free, and ask
// for no place. A message that an earlier daemon accepted (AcceptedSeq) is never
// refused for want of room; it waits.
//
// # Work that agents begin by themselves
//
// An agent may work between two turns, or beside one: its own scheduler has begun
// a turn, or the last turn has left something to run. The caller tells the pool of
// it, and of its end, by [Pool.Works]. Until then the agent is busy. It is stopped
// only by Kill and Close, or when a turn leaves it of no use; Evict, Restart, a
// lower bound, max_turns and staleness wait for the end of the work. A message of
// its own key goes to it at once, unless the message needs another agent. The work
// is the parent of a message that is sent from it.
//
// # Agents that do not start
//
// Starts that fail are tried again after 1 s to 60 s, doubling, with jitter.
// After three failures in a row the messages of the key end with the
// [*StartError]. Until the next try is due further messages are refused with an
// error that says when; those with an AcceptedSeq wait for it. That try is one
// start, however many messages wait. A permanent failure ends the messages at
// once, and the next message tries again at once. Failures are forgotten after ten
// minutes without a message.
//
// # Variants
//
// A message may ask something of its agent ([Variant]). It waits in the one queue
// of its key like any other. What a live agent can set for one turn is for Run to
// set and to take back. Where the message needs an agent that was started in
// another way than the idle one of the key, that one goes, and one of the
// message's own takes its place; messages that need the same and follow find it
// warm.
//
// # Another image of the same program
//
// A process can replace its program and keep its children. [Pool.Freeze] has the
// pool begin nothing more and waits until nothing is under way but turns that
// have been sent. [Pool.Handoff] is then all that the next image's pool needs,
// and [Pool.Restore] takes it: agents in their order of use, each with the turn
// that it is in ([Adopted]), process ids and events that go on, before
// anything else may happen. Thaw lets both go on: the new pool, or the old one
// when nothing came of it.
//
//	Freeze ──▶ Handoff ──▶ (another image) ──▶ Restore ──▶ Thaw
//	   └──────────────────▶ Thaw
//
// Such a turn is given to no other agent, whatever becomes of its own, also when
// that is stale ([Grant].AlreadySent).
//
// # Turns that wait for turns
//
// An agent may itself send a message and wait for the answer; Parent says so.
// Submit refuses with [ErrDeadlock] a message that could never run: to the key
// of the turn that is sending it, around a circle of agents, or into a pool whose
// places are all held by turns that wait. A message sent without waiting, and
// one whose sender has stopped waiting ([Pool.Detach]), holds nobody.
//
// # How it is built
//
// table is every decision as plain data. [Pool] holds it under its one lock and
// changes it in one function:
//
//	update(f): lock; f(table); for each step of table.next: launch; set the timer; unlock
//
// Everything that takes time (Start, Stop, Check, Run, ...) is launched as a
// goroutine and comes back with another update. There is one timer for the
// whole pool, set to the first thing that will be due: an idle timeout, the end
// of a back-off, a look for progress, a health check. A pool in which nothing is
// due does not wake up. Every goroutine belongs to the pool's WaitGroup; Close
// returns when all have ended, which relies on the promises of [Agent].
//
// Run and Start may call Submit, Cancel, Detach, Hold, Unhold, Position, Snapshot
// and Events, but must not wait for the pool: not Wake, Kill, Evict, EvictOldest,
// Restart, Freeze, Drain or Close.
package pool
