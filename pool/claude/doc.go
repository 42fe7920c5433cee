// Package claude drives one Claude Code process: it starts the process, sends it one
// message at a time, tells how each turn ended, and ends the process with everything it
// started. It is not a pool and does not decide which agent lives. It knows the
// program's protocol so that no other package has to; the built-in echo agent and the
// tests' fake speak the same protocol.
//
// # Where to find it
//
//	Start  (start.go, command.go, variant.go)       arguments, environment, the process
//	Send   (send.go, adjust.go, input.go)           idle, mode and effort, the message, the wait
//	         follow (lines.go, reader.go, scan.go)  the spool, line by line
//	           turnNotes (turnnotes.go, tasks.go, said.go)  whose turn it is
//	             endings (ending.go, result.go)     a result line -> turn.Result
//	           apply (apply.go)                     what follows: state, session, end of turn
//	Answer (ask.go, question.go)                    tool calls that wait for permission
//	Stream (stream.go, finder.go)                   the lines of one turn, for a reader
//	Stop   (stop.go)                                the ladder, then the process tree
//	Pause, Adopt (handover.go)                      another image of the same program
//	Orphans, ReadOutcome (orphan.go, outcome.go)    after the daemon is gone
//
// [Process] groups its fields by who may touch them: fixed at the start; reading, for
// the goroutine that reads lines; input and calls, each with a lock; the rest under mu.
//
// # An agent's stdin is a pipe, its stdout is a file
//
// A turn must outlive the daemon. So the agent writes into a file of its own, the
// spool, and the daemon follows that file. When the daemon dies, the agent sees the end
// of its input, finishes its turn, writes the result into the spool and exits; the next
// daemon reads it there.
//
//	daemon ── pipe ──▶ agent ── O_APPEND ──▶ <session>.<process>.out   the spool
//	   ▲                 └──── O_APPEND ──▶ <session>.<process>.err   stderr
//	   └── fsnotify, pread ◀────────────────┘
//	   └── record: pid, start time, boot id, sums ─▶ <session>.<process>.json
//
// The flock on the spool is taken before the start and inherited with the agent's
// stdout; the daemon closes its own descriptor of it. While the lock is held, the agent
// lives. Its tools do not have the descriptor. The name of the spool says which
// conversation is in use (it is renamed when /clear begins another), and [Start] refuses
// a second process for it, since Claude Code itself would let two write one transcript.
//
// The spool gives space back to the disk by punching holes, never by truncating: the
// agent appends at any time. These parts are kept: the end of a turn until the owner has
// it on record, and the proof that a noted turn never began, both until
// [Process.ResultRecorded]; the last state line; and up to 64 MB that a [Stream] has yet
// to read. A Stream reads the same file through a descriptor of its own, at its own
// pace. The files are removed when the process is gone and no part of them is needed.
//
// # One process' life
//
//	Start    > control_request initialize            written at once, kept by the pipe
//	         < control_response success              ready
//	Send     (wait for idle, reserve 1 MB past the spool's end)
//	         > user                                  one line, a fresh uuid
//	         < system session_state_changed running
//	         < system init                           in every turn; has the session id
//	         < assistant, user, ...                  for a Stream
//	         < result                                without "origin": the turn is over
//	         < system session_state_changed idle
//	         < control_request can_use_tool          OnAsk, with Ask; else denied at once
//	Answer   > control_response allow or deny        once; until then the turn has not stalled
//	         < control_cancel_request                OnWithdrawn, as at the end of turn or agent
//	ctx ends > control_request interrupt             again every half second
//	         < result aborted_...                    or an error after Grace
//	Check    > control_request get_binary_version
//	Stop     > control_request end_session, then end of file, SIGTERM, SIGKILL,
//	           each after Grace; then the rest of the process tree
//
// A message is written only while the last state line says idle, or beside subagents if
// the program says by uuid what becomes of a message; and while every line in the spool
// has been read. A message that arrives during a turn is merged into it. turnNotes says
// whose a result is.
//
// On a full disk the agent leaves a torn line and drops, or holds back, its output. So
// room for an answer is reserved before each turn, and without it the turn does not
// begin. During the turn the room is kept ahead of the output, since an answer comes in
// pieces (--include-partial-messages) before it comes whole. If that was not enough, the
// agent is asked whether it is idle (cut.go); if it is, its turn ends as unknown.
//
// is_error says whether a turn failed, never the subtype. Costs and tokens in a result
// are sums since the start of the process: results carry differences. A result leaves
// out when a rate limit is over, the text before an error cut the answer short, and the
// work in the background. turnNotes takes those from the lines before it.
//
// # Variants
//
// A process has some parts of a turn.Variant from its start. Model and the limit of
// turns are arguments behind the team's; text that a person has written (a part of the
// system prompt, a schema) goes into the initialize request, where no list of processes
// shows it; systemPromptSnapshot keeps the program from recording the prompt with the
// conversation. The control request set_model is not used: it leaves remarks in the
// conversation each time. A resume goes on with the model of the last answer, so
// Options.Model gives a conversation its own back.
//
// The other parts are set just before the message is written and taken back when its
// turn is over, so that turns of the agent's own have the rules of the team:
//
//	> control_request set_permission_mode    the mode of the message, else the team's
//	> control_request get_settings           the effort to go back to: null would be the model's default
//	> control_request apply_flag_settings    effortLevel, permissions.allow ([] takes back what this list allowed)
//	> user
//	< result
//	> (the same with what the team has)
//
// The current mode is in the answer to initialize, in each init line and in each status
// line of a change, including changes by the agent's own tools. A program that does not
// name its mode in the answer to initialize names it in its first turn only; if such a
// process began with the mode of a message, it keeps that mode.
//
// # The end of an agent
//
// Each Bash tool has a session of its own, so the agent's process group does not reach
// it. Stop looks at the tree below the agent before and while it ends, and then kills
// the rest of the tree and of the sessions of its tools. When an agent dies unasked,
// everything below it at the end of its last turn, and everything it has started since,
// is killed; the variable IRIS_PROCESS in the environment attributes a process whose
// parent is gone. A process that made itself a daemon before (its own session,
// re-parented) is left alone. Package procs has the tree, and sends the signals. The
// agent is never killed within 150 ms after a result: its transcript reaches the disk up
// to 110 ms late.
//
// # After the daemon
//
// [Orphans] finds the agents of an earlier daemon by their locks. [Orphan.Wait] waits
// for them, [ReadOutcome] reads how a turn ended from the offset that
// [Process.NextTurn] returned when it began, and [CleanSpools] removes the files that
// are no longer needed.
//
// # Another image of the same program
//
// When the daemon replaces its own program, the agents stay its children, and the pipe
// to each stays open. [Process.Pause] stops the daemon's side of one between two lines,
// in both directions; it returns, and [Adopt] takes, where both directions stand. So no
// line is handled twice, and none is left out: the agent's output meanwhile is in the
// spool. In mid-turn the new Process is in that turn, and [Process.Rejoin] waits for its
// end. A turn whose line the agent may not have in full cannot be handed over
// (ErrUnready).
//
// A process that cannot be adopted loses its input, and is an orphan from then on.
//
// # Goroutines
//
// A process has two: one waits for its exit (in the runtime's poller, holding no
// thread), one reads its spool when told to and holds no buffer in between. Stop waits
// for both; after an exit they end by themselves. Process.Done is closed by the second.
// A third asks what keeps the first turn from beginning, and ends with that. A
// [Follower] has one for all processes, and one of fsnotify's. Its Close waits.
package claude
