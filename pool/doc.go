// Package pool keeps a limited number of warm agents and takes messages to them: one
// turn at a time per key, no turn twice; if there is no free place, the least
// recently used idle agent is stopped.
//
// It knows nothing of processes, files, protocols or the contents of messages. It
// gets agents of the caller's own type from [Config].Start, and asks of them no more
// than [Agent] says. A message comes as a [Turn] and the [Run] that takes it to its
// agent. The pool keeps nothing on disk: the caller remembers the messages that are
// in the pool when the program dies.
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
// There is one queue of messages for each [Key], first in, first out. The slot is
// free from Release on; the next message of the key starts when Run has returned, so
// that the record of the end is there. A turn goes back to the head of its queue and
// to another agent if its agent is stale or the turn did not reach it
// ([ErrNotDispatched]); so Run may be called more than once for a turn. After three
// agents, not counting those that lacked room, a stale one is used all the same, and a
// turn that does not reach its agent ends. If a turn gets no agent (cancelled, shut down,
// no agent starts), its Run is called once, with the reason.
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
// Every state but gone takes a place, so that there are never more processes than
// [Limits].MaxProcesses. A slot is the identity of an agent: late news of an old
// agent cannot touch its successor. A start belongs to the pool: if the caller gives
// up, the start goes on, and the agent becomes idle.
//
// # Who gets a place
//
// A key that has messages and no slot needs a place; it waits in table.waiting, and
// table.decide serves it. Such keys are served by the age of their first message. If no place is free or becoming free, the least recently
// used idle agent is stopped. Busy agents are left alone, unless WhenFull is
// [WhenFullEvict]: then the turn that began first ends with [ErrEvicted], but never a
// turn that waits for the message.
//
// An agent whose own queue is never empty would keep its place for ever. At the end
// of a turn it gives its place to a message of another key that has waited longer
// than FairWait, if the agent itself has been ready that long; from then on its own
// queue counts as waiting. So teams that all have more messages than they can process
// take turns at that pace, and not after every turn.
//
// A key can be held ([Pool.Hold]): its messages wait, whatever is free, and ask for
// no place. A message that an earlier daemon accepted (AcceptedSeq) is never refused
// when the pool or queue is full; it waits.
//
// # Memory
//
// With [Limits].MaxMemoryTotal an agent starts only if three things allow it: what all
// agents use, what young agents will still take (the usual size of their team), and
// what the machine has left ([Memory].Spare). If not, the least recently used idle
// agents are stopped, as many as are needed; or else the key waits for memory. The only
// agent may always start. If the agents use more than the limit, or under pressure, the
// idle agents go that are the largest for their idleness. Where idle agents together do
// not have the memory that is wanted, none is stopped: it would be in vain. No turn is
// ever ended for memory; an agent that is larger than its team's MaxMemory is replaced
// at the end of its turn.
//
// Memory is measured with the health check, and before an agent starts if the last
// sample is older than five seconds.
//
// # Limited accounts
//
// Teams may share an account ([Pool.SetAccount]). A turn that ends with a Limit closes
// the gate of its account: the messages of all its teams wait, as if their keys were
// held, until the reset by the wall clock, or for a back-off. Then one message goes
// first, the oldest. If the agent ends that turn by its own word, and without a limit,
// the gate opens:
//
//	       Limit                    the reset
//	open ─────────▶ limited ─────────────────────▶ one message goes first
//	 ▲                 ▲ │ Open                         │          │
//	 │                 └─┼──────────── Limit ───────────┘          │
//	 └───────────────────┴─────────── ended without one ◀──────────┘
//
// # Spare messages
//
// A message with Spare waits until no other message of its account waits, in whatever
// queue, and of each limit of the account ([Pool.SetUtilization]) less than SpareBelow is
// used. Messages that are held, or wait for an orphan, are not waited for. In its own
// queue it stays behind the others, for a place it waits behind the others of all accounts,
// and no turn is ended for it. Of the spare messages of an account that could begin, one at
// a time asks for an agent: that of the team with the highest SpareBelow, and of these the
// oldest. A message that another turn waits for is never spare.
//
// # Work that agents begin by themselves
//
// An agent may work between two turns, or beside one: its own scheduler has begun a
// turn, or the last turn has left something running. The caller reports the beginning
// and the end of such work with [Pool.Works]. Until the end the agent is busy. Only
// Kill and Close stop it, or a turn after which the agent is of no use; Evict,
// Restart, a lower limit, MaxMessages and staleness wait for the end of the work. A
// message of the agent's key goes to it at once, unless the message needs another
// agent. The work is the parent of a message that is sent from it.
//
// # Agents that do not start
//
// Starts that fail are tried again after 1 s to 60 s, doubling, with jitter. After
// three failures in a row the messages of the key end with the [*StartError]. Until
// the next try, further messages are refused with an error that says when it is;
// messages with an AcceptedSeq wait for it. That try is one start, however many
// messages wait. A permanent failure ends the messages at once, and the next message
// tries again at once. Failures are forgotten after ten minutes without a message.
//
// # Variants
//
// A message may ask something of its agent ([Variant]). It waits in the one queue of
// its key like any other. Run sets, and takes back, what a live agent can change for
// one turn. If the message needs an agent that was started differently from the idle
// agent of the key, that agent is replaced; later messages with the same needs use
// the new agent.
//
// # Another image of the same program
//
// A process can replace its program and keep its children. [Pool.Freeze] stops the
// pool from beginning anything and waits until only sent turns are under way.
// [Pool.Handoff] returns all that the pool of the next image needs, and
// [Pool.Restore] takes it, before anything else may happen: agents in their order of
// use, each with its running turn ([Adopted]), and the counters of process ids and
// events. Thaw ends the freeze: in the new pool, or in the old one if the replacement
// failed.
//
//	Freeze ──▶ Handoff ──▶ (another image) ──▶ Restore ──▶ Thaw
//	   └──────────────────▶ Thaw
//
// A running turn that was taken over goes to no other agent, whatever becomes of its
// own agent, even if that agent is stale ([Grant].AlreadySent).
//
// # Turns that wait for turns
//
// An agent may itself send a message and wait for the answer; Parent says so. Submit
// refuses with [ErrDeadlock] a message that could never run: to the key of the turn
// that is sending it, around a circle of agents, or into a pool whose places are all
// held by turns that wait. A message blocks no turn if it was sent without waiting,
// or if its sender has stopped waiting ([Pool.Detach]).
//
// # How it is built
//
// table makes every decision, as plain data. [Pool] guards it with its one lock and
// changes it in one function:
//
//	update(f): lock; f(table); for each step of table.next: launch; set the timer; unlock
//
// Everything that takes time (Start, Stop, Check, Run, ...) is launched as a
// goroutine and comes back with another update. There is one timer for the whole
// pool, set to the next moment at which something is due: an idle timeout, the end of
// a back-off, a look for progress, a health check. If nothing is due, the pool does
// not wake up. Every goroutine belongs to the pool's WaitGroup; Close returns when
// all have ended, which relies on the promises of [Agent].
//
// Settings and Gone are called with the lock held. They must be quick, and must not
// call the pool.
//
// Run and Start may call Submit, Cancel, Detach, Hold, Unhold, SetAccount, SetUtilization,
// Limit, Open, Gates, Position, Snapshot and Events, but must not wait for the pool: not
// Wake, Kill, Evict, EvictOldest, Restart, Freeze, Drain or Close.
package pool
