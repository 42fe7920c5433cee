// Package claude drives one Claude Code process: it starts the process, sends it one
// message at a time, reports how each turn ended, and ends the process with
// everything it started. It is not a pool and does not decide which agents run. No
// other package knows the program's protocol; the built-in echo agent, the adapters of
// other programs and the tests' fake speak it too.
//
// # Where to find it
//
//	Start  (start.go, command.go, variant.go)       arguments, environment, the process
//	         Sources, watch (sources.go, watch.go, settings.go)  what it reads, and what has changed since
//	         wroteInstead (unready.go)              why it is not ready
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
// A turn must outlive the daemon. So the agent writes into its own file, the spool,
// and the daemon follows that file. When the daemon dies, the agent reads the end of
// its input, finishes its turn, writes the result into the spool and exits; the next
// daemon reads it there.
//
//	daemon ── pipe ──▶ agent ── O_APPEND ──▶ <session>.<process>.out   the spool
//	   ▲                 └──── O_APPEND ──▶ <session>.<process>.err   stderr
//	   └── fsnotify, pread ◀────────────────┘
//	   └── record: pid, start time, boot id, sums ─▶ <session>.<process>.json
//
// The lock (flock) on the spool is taken before the start and inherited with the
// agent's stdout; the daemon closes its own descriptor of it. As long as the lock is
// held, the agent lives. Its tools do not have the descriptor. The name of the spool
// contains the id of the conversation in use (/clear begins another, and the spool is
// renamed). [Start] refuses a second process for the same conversation, since Claude
// Code itself would let two processes write one transcript.
//
// The spool gives space back to the disk by punching holes, never by truncating: the
// agent may append at any time. These parts are kept: the end of a turn until its
// owner has recorded it, and the proof that a recorded turn never began, both until
// [Process.ResultRecorded]; the last state line; and up to 64 MB that a [Stream] has
// not yet read. A Stream reads the same file through its own descriptor, at its own
// pace. The files are removed when the process is gone and no part of them is needed.
//
// # One process' life
//
//	Start    (reserve 2 MB in the spool)
//	         > control_request initialize            written at once, kept by the pipe
//	         < control_response success
//	         > control_request get_settings          unless nothing is watched
//	         < control_response success              ready, unless it has refused a settings file
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
//	Check    > control_request get_binary_version    not while frozen
//	idle     SIGSTOP after FreezeAfter, SIGCONT before the next line (freeze.go)
//	Stop     > control_request end_session, then end of file, SIGTERM, SIGKILL,
//	           each after Grace; then the rest of the process tree
//
// A message is written only when every line in the spool has been read and the last
// state line says idle; or beside subagents, if the program reports by uuid what
// becomes of a message. A message that arrives during a turn is merged into it.
// turnNotes says which message a result belongs to.
//
// On a full disk the agent leaves an incomplete line, and drops or holds back its
// output. So room for an answer is reserved before each turn; without it the turn
// does not begin. During the turn the room is kept ahead of the output, since an
// answer comes in pieces (--include-partial-messages) before it comes whole. If that
// was not enough, the agent is asked whether it is idle (cut.go); if it is, its turn
// ends as unknown.
//
// is_error says whether a turn failed, never the subtype. Costs and tokens in a
// result are sums since the start of the process; Result has the differences. A
// result does not say when a rate limit ends, which text came before an error, and
// what runs in the background. turnNotes takes these from earlier lines.
//
// # What an agent reads
//
// [Sources] lists the files and directories that Claude Code reads, and [Kind] says
// what a change means. Most are read once, at the start: [Process.Stale] compares them
// before each turn, and the pool replaces the agent. Commands, agents and skills the
// agent reads again when it is asked to, just before the next message:
//
//	> control_request reload_plugins
//
// It looks for changes of these by itself, too, but only a second or two later, and
// not in directories that are newer than the process. Settings it reads again by itself
// as well. It takes nothing from a file that does not parse, at its start or later; so
// such a file stops both a start and the next turn of a running agent. Nor does it take
// anything from a settings file that breaks its schema, and only it knows that: it is
// asked at the start (get_settings, some milliseconds). The comparison is a
// call of stat for each file and a reading of each directory, about a millisecond in
// all; what is looked at is bounded (20 levels of directories, 100 imports, 1000
// entries of a directory).
//
// # Variants
//
// Some parts of a turn.Variant are set at the start of a process. Model and the limit
// of turns are arguments after the team's; text that a person has written (a part of
// the system prompt, a schema) goes into the initialize request, where no list of
// processes shows it; systemPromptSnapshot keeps the program from recording the
// prompt with the conversation. The control request set_model is not used: it leaves
// remarks in the conversation each time. A resumed conversation uses the model of its
// last answer, so Options.Model restores its own.
//
// The other parts are set just before the message is written and taken back when its
// turn is over, so that the agent's own turns have the settings of the team:
//
//	> control_request set_permission_mode    the mode of the message, else the team's
//	> control_request get_settings           the effort to go back to: null would be the model's default
//	> control_request apply_flag_settings    effortLevel, permissions.allow ([] takes back what this list allowed)
//	> user
//	< result
//	> (the same with what the team has)
//
// The current mode is in the answer to initialize, in each init line and in each
// status line of a change, including changes by the agent's own tools. A program that
// does not name its mode in the answer to initialize names it only in its first turn;
// if such a process began with the mode of a message, it keeps that mode.
//
// # The end of an agent
//
// Each Bash tool has a session of its own, so the agent's process group does not
// include it. Stop looks at the tree below the agent before and while it ends, and
// then kills the rest of the tree and of the sessions of its tools. When an agent
// dies by itself, everything below it at the end of its last turn, and everything it
// has started since, is killed; the variable IRIS_PROCESS in the environment
// attributes a process whose parent is gone. A process that made itself a daemon
// before (its own session, re-parented) is left alone. Package procs has the tree,
// and sends the signals. The agent is never killed within 150 ms after a result: its
// transcript reaches the disk up to 110 ms late.
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
// When the daemon replaces its own program, the agents stay its children, and the
// pipe to each stays open. [Process.Pause] stops the daemon's side between two lines,
// in both directions, and returns the position in both; [Adopt] continues there. So
// no line is handled twice or left out: the agent's output meanwhile is in the spool.
// If a turn is running, the new Process is in that turn, and [Process.Rejoin] waits
// for its end. While the agent may not have the whole line of a turn, its process
// cannot be handed over (ErrUnready).
//
// A process that cannot be adopted loses its input, and is an orphan from then on.
//
// # Goroutines
//
// A process has two: one waits for its exit (in the runtime's poller, without a
// thread), one reads its spool when told to and keeps no buffer in between. Stop
// waits for both; after an exit they end by themselves. The second closes
// Process.Done. A third asks what delays the first turn, and ends when that turn
// begins. A [Follower] has one for all processes, and one of fsnotify's. Its Close
// waits.
package claude
