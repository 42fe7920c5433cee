// Package claude drives one Claude Code process: it starts it, sends it one
// message at a time, says how each turn ended, and ends it with all that it
// started. It is not a pool and decides nothing about which agent lives. It
// knows the program's protocol so that nobody else has to; the built-in echo
// agent and the tests' fake speak the same.
//
// # An agent's stdin is a pipe, its stdout is a file
//
// A turn must outlive the daemon. So the agent writes into a file of its own,
// the spool, and the daemon follows that. When the daemon dies, the agent sees
// the end of its input, finishes its turn, writes the result into the spool and
// leaves; the next daemon reads it there.
//
//	daemon ── pipe ──▶ agent ── O_APPEND ──▶ <session>.<process>.out   the spool
//	   ▲                 └──── O_APPEND ──▶ <session>.<process>.err   stderr
//	   └── fsnotify, pread ◀────────────────┘
//	   └── record: pid, start time, boot id, sums ─▶ <session>.<process>.json
//
// The flock on the spool is taken before the start and inherited with the
// agent's stdout; the daemon closes its own descriptor of it. Held means that
// the agent lives. Its tools do not have the descriptor. The spool's name says
// which conversation is in use (it is renamed when /clear begins another), and
// [Start] refuses a second process of it, since Claude Code itself would let
// two write one transcript.
//
// What nobody needs any more is given back to the disk by punching holes, never
// by truncating: the agent appends at any time. Needed is a turn's end until
// the owner has it on record, and of one that is noted the proof that it never
// began, both until [Process.Taken]; the last state line; and as far as 64 MB back
// what a [Stream] has yet to read: whoever wants an agent's lines as they come
// reads the same file with a descriptor of its own, at its own pace. The files go
// when the process has gone and nothing in them is needed.
//
// # One process' life
//
//	Start    > control_request initialize            written at once, kept by the pipe
//	         < control_response success              ready
//	Send     (wait for idle, reserve 1 MB past the spool's end)
//	         > user                                  one line, a fresh uuid
//	         < system session_state_changed running
//	         < system init                           in every turn; has the session id
//	         < assistant, user, ...                  passed to Turn.Output
//	         < result                                without "origin": the turn is over
//	         < system session_state_changed idle
//	         < control_request can_use_tool          OnAsk, with Ask; else denied at once
//	Answer   > control_response allow or deny        once; until then the turn has not stalled
//	         < control_cancel_request                OnWithdrawn, as at the end of turn or agent
//	ctx ends > control_request interrupt             again every half second
//	         < result aborted_...                    or an error after Grace
//	Check    > control_request get_binary_version
//	Stop     > control_request end_session, then end of file, SIGTERM, SIGKILL,
//	           each after Grace; then what is left of the process tree
//
// A message is written only while the agent's last state line says idle and
// nothing of the spool is unread: a message that arrives during a turn, also
// one that the agent has begun by itself when a background task ended, is
// merged into it and gets no result of its own. A result with an "origin"
// belongs to such a turn or to what an earlier process left unfinished, and
// ends nothing.
//
// On a full disk the agent would drop its output in silence; so room for an
// answer is reserved before each turn, and without it the turn does not begin.
// During the turn the room is kept ahead of what is written, since an answer comes
// in pieces (--include-partial-messages) before it comes whole.
//
// is_error says whether a turn failed, never the subtype. Costs and tokens in a
// result are sums since the start of the process: results carry differences.
// Turn.Begin is the pool's to call, just before Send.
//
// A result leaves out when a rate limit is over, what was said before an error
// cut the answer short, and what still runs in the background. That is in the
// lines before it: see account.
//
// # Variants
//
// A process is started as the pool.Variant of the message that wants it, and
// stays it. Model, permission mode and the limit of turns are arguments behind
// the team's; what a person has written (a part of the system prompt, a schema)
// goes into the initialize request, where no list of processes shows it. The
// control requests set_model and set_permission_mode are not used: the first
// leaves two remarks in the conversation each time, and the mode to go back to is
// told only in the first turn. A resume goes on with the model of the last
// answer, so Options.Model gives a conversation its own back.
//
// # What goes with an agent
//
// Each Bash tool has a session of its own, so the agent's process group does
// not reach it. Stop looks at the tree below the agent before and while it
// ends, and then kills what is left of it and in the sessions of its tools. An
// agent that dies unasked takes with it what was below it at the end of its
// last turn and what it has started since; the variable IRIS_PROCESS in the
// environment attributes a process whose parent is gone. What made itself a
// daemon before (its own session, re-parented) is left alone.
//
// Every signal goes through a pidfd, after a look at the start time where the
// process is no child of ours. The agent is never killed within 150 ms after a
// result: its transcript reaches the disk up to 110 ms late.
//
// # After the daemon
//
// [Leftovers] finds the agents of an earlier daemon by their locks.
// [Leftover.Wait] waits for them, [Settle] reads how a turn ended from the
// offset that [Process.Spool] said when it began, [CleanSpools] removes what is
// no longer needed.
//
// # Another image of the same program
//
// When the daemon replaces its own program, the agents stay its children, and
// the pipe to each stays open. [Process.Pause] stops the daemon's side of one
// between two lines, both ways; what it returns and [Adopt] takes is where both
// directions stand. So no line is handled twice, and none is left out: what the
// agent writes meanwhile is in the spool. In mid-turn the new Process is in that
// turn, and the Send that has Begun set waits for its end. A turn of which the
// agent may not have the whole line cannot be handed over (ErrUnready).
//
// Whatever cannot be adopted loses its input, and is a leftover from then on.
//
// # Goroutines
//
// A process has two: one waits for its exit (in the runtime's poller, holding
// no thread), one reads its spool when told to and holds no buffer in between.
// Stop waits for both; after an exit they end by themselves. Process.Done is
// closed by the second. A [Follower] has one for all processes, and one of
// fsnotify's; a [Reaper] has one. Their Close waits.
package claude
