// Package pool keeps a bounded number of warm agents and takes messages to
// them: least recently used, one turn at a time per key, nobody's turn twice.
//
// It knows nothing of processes, files or protocols. What it starts is an
// [Agent], which [Config].Start returns; what it is handed is a [Turn], whose
// functions say how it went. It keeps nothing on disk: a message that is in the
// pool when the program dies is somebody else's to remember.
//
// # The flow of a turn
//
//	Submit ── admitted? ──▶ line of its key ──▶ slot ──▶ Begin ──▶ Agent.Send ──▶ Finish
//	   │                      │     ▲                      │            │
//	   ▼                      ▼     └── not taken ─────────┼────────────┤
//	 error                 dropped                         ▼            ▼
//	 (no Finish)           (Finish)                   given up     slot idle, or stopping
//
// There is one line of messages for each [Key], first in, first out. Finish is
// called when the slot is free again, and the next message of the key starts
// when Finish has returned: what it has written down is there. A turn whose
// agent turns out to be stale, or that [Agent].Send did not dispatch, goes back
// to the head of its line and to another agent, so Begin may run more than once
// for a turn; after three agents it ends or takes what it gets.
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
// than [Limits].MaxProcesses. A slot is the identity of an agent: what comes
// late from an old one cannot touch its successor. A start belongs to the pool;
// a caller who gives up does not end it, and the agent goes idle.
//
// # Who gets a place
//
// A key that has messages and no slot needs a place. Those who need one are
// served by the age of their first message. When no place is free and none is
// on its way, the idle agent whose last turn ended first is stopped. Busy ones
// are left alone, unless WhenFull is [WhenFullEvict]: then the turn that began
// first ends with [ErrEvicted], but never one that waits for the message.
//
// An agent whose own line is never empty would keep its place for ever. At the
// end of a turn it gives way to a message of another key that has waited longer
// than FairWait, if it has been ready for FairWait itself; its own line then
// counts as having waited since that moment. So teams that all have more than
// they can do change over at that pace, and not after every turn.
//
// A key can be held ([Pool.Hold]): its messages wait, whatever is free, and ask
// for no place. A message that an earlier daemon accepted (Kept) is never
// refused for want of room; it waits.
//
// Starts that fail are tried again after 1 s to 60 s, doubling, with jitter.
// After three in a row the messages of the key end with the [*StartError], and
// until the next try is due further ones are refused with one that says when,
// except for Kept ones, which wait for it. That try is one start, whatever
// waits for it. A permanent failure ends the messages at once, and the next one
// tries again at once. Failures that nobody asks for are forgotten after ten
// minutes.
//
// # Variants
//
// A message may want its agent started in another way ([Variant]). It waits in
// the one line of its key like any other. When its turn has come and the idle
// agent of the key is of another variant, that one goes, and one of the
// message's own takes its place; messages of the same variant that follow find
// it warm.
//
// # Another image of the same program
//
// A process can replace its program and keep its children. [Pool.Freeze] has the
// pool begin nothing more and waits until nothing is under way but turns that
// have been sent. [Pool.HandOver] is then all that the next image's pool needs,
// and [Pool.Restore] takes it: agents in their order of use, each with the turn
// that it is in ([Turn].Begun), process ids and events that go on, before
// anything else may happen. Thaw lets both go on: the new pool, or the old one
// when nothing came of it.
//
//	Freeze ──▶ HandOver ──▶ (another image) ──▶ Restore ──▶ Thaw
//	   └──────────────────▶ Thaw
//
// A turn with Begun set is given to no other agent, whatever becomes of its own,
// and begins without a look at whether the agent is stale.
//
// # Turns that wait for turns
//
// An agent may itself send a message and wait for the answer; Parent says so.
// Submit refuses with [ErrDeadlock] what could never run: a message to the key
// of the turn that sends it, around a circle of agents, or into a pool whose
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
// What takes time (Start, Send, Stop, Check, Begin, Finish, ...) is launched as
// a goroutine and comes back with another update. There is one timer for the
// whole pool, set to the first thing that will be due: an idle timeout, the end
// of a back-off, a look for progress, a health check. A pool in which nothing is
// due does not wake up. Every goroutine belongs to the pool's WaitGroup; Close
// returns when all have ended, which relies on the promises of [Agent].
//
// Begin, Output, Finish and Start may call Submit, Cancel, Detach, Hold,
// Release, Position, Snapshot and Events, but must not wait for the pool: not
// Wake, Kill, Evict, EvictOldest, Restart, Freeze, Drain or Close.
package pool
