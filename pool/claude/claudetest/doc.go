// Package claudetest is test equipment for everything that drives Claude Code:
// a loopback stub of the Messages API for the real program, and a scripted
// fake of the program itself. A test holds the fake against the real program.
//
// # The stub
//
// NewStub serves POST /v1/messages (streaming and not), HEAD / and
// count_tokens on a loopback port. The last text of the user steers the answer;
// what Claude Code puts around it (reminders, CLAUDE.md, system notes) is left
// out of account:
//
//	echo:TEXT            TEXT
//	slow:N:DELAY         "d0 d1 ... " in N deltas, DELAY after each
//	size:BYTES           Text(BYTES)
//	tool:NAME:{json}     a call of that tool; its result is answered by "tool said: RESULT"
//	say:TEXT|tool:NAME:{json}
//	                     TEXT and a call of that tool in one answer
//	list:LINE\nLINE...   what the first line asks for; after each result of a tool the next line
//	max:TEXT[|TEXT2]     TEXT, cut off by the limit of tokens; TEXT2, or "ok", when asked to go on
//	dump                 the user's texts of the conversation, as a JSON list
//	count                how many there are
//	model                the name of the model that is asked
//	files                kind, type and size of what the user has sent besides text
//	ctx                  the context around them: system prompt, reminders, CLAUDE.md
//	status:CODE[:N[:S]]  an HTTP error; for the first N tries only; with retry-after S seconds
//	hang                 no answer until the client goes or the stub closes
//	stall                one delta, then as hang
//	cut                  one delta, then the connection is dropped
//	short                a whole block, then the same
//	open                 a whole block, then the end of the stream without a reason
//	limit:SECONDS        429 with the headers of a subscription whose limit resets in so many
//	after:DELAY:TEXT     what TEXT asks for, DELAY later
//	anything else        "ok: TEXT"
//
// A turn that the agent begins because something in the background has ended is
// answered by "noted: " and the result in the notification, or else its summary.
//
// A DELAY is a Go duration, or @FILE: until that file is there, so that a test
// can say when.
//
// The log tells the runs of a message apart from what follows them: a request
// that goes on after the result of a tool is not the first of its turn. It also
// has the tokens that each answer told; Tokens sums them up by model, subagents
// and requests beside the conversation included.
//
// The stub owns its goroutines; Close ends its requests and waits for them.
//
// # The fake
//
// The fake is the test binary itself: call Main first in TestMain, and Install
// for a path to start it by. It keeps transcripts under $CLAUDE_CONFIG_DIR or
// $HOME/.claude, as the real program does, refuses session ids with its words,
// counts costs from the start of the process, merges messages that come during
// a turn and ends with its exit statuses. A message steers it:
//
//	echo: size: slow: dump count   as the stub; big: is size:
//	tool:NAME:{json}               the lines of a tool call, without the tool
//	ask:NAME:{json}[ ...]          the same, if it is permitted: what is allowed is answered by "allowed: INPUT"
//	                               for each, and one that is denied with the reason; several are asked for at once
//	run:COMMAND                    a shell runs it as the real program's Bash tool does; what it wrote and its status
//	sleep:DELAY                    "slept DELAY"
//	env args fds cwd pid umask nice limits inherit
//	                               what it was started with, as JSON where it is more than a word
//	crash:WHEN[:HOW]               WHEN is read (before any line), before (the assistant line), mid (before
//	                               the result), half (in mid-result) or after; HOW an exit status, kill or stop
//	die:DURATION[:HOW]             answers, then crashes
//	hang[:deaf|:partial]           no answer until interrupted; deaf to all but signals, once a line "fake_deaf"
//	                               says so; after a delta
//	deaf[:WHAT,...]                answers, then is deaf to WHAT: term eof end interrupt ping stdin
//	linger                         deaf:eof,end
//	noidle                         no idle line after the result
//	garbage[:KIND]                 text nul utf8 badutf8 crlf blank unknown array scalar torn deep fields escape; all
//	split:DURATION                 the result in two writes
//	flood:MB[:line|:text|:stderr|:stay|:endless]
//	                               that much before the answer; on stderr, and then no answer until interrupted;
//	                               a line without an end
//	fork:KIND[:DURATION]           a child that sleeps; plain group session tied daemon hold, or tool, which
//	                               the turn waits for; the answer is its process id
//	fail:KIND                      an error result: an HTTP status, login timeout turns budget exec
//	                               limit partial open; denied
//	limit:FILE:TEXT                a usage limit until the time in the file, in seconds since 1970, or until the
//	                               file is gone; if it is empty, a 429 that names no reset; otherwise TEXT
//	background:[DELAY:]WHAT        answers, with something beside the turn that never ends, or begins a turn when it does
//	subagent:DELAY:TEXT            answers, and begins a turn that says TEXT when a subagent has found it
//	cron:DELAY:TEXT[:DELAY]        answers, then begins a turn that says TEXT, as the real program's scheduler does
//	hookblock:TEXT                 a hook refuses the message, for that reason
//	empty:TEXT                     says TEXT, and has an empty result
//	defer:NAME                     a hook puts off a call of that tool
//	phantom, two                   a result with an origin before, or a second one after the answer
//	spontaneous:DELAY[:DELAY]      answers, then begins a turn of its own, which lasts for the second
//	memory:MB                      holds on to it
//	stderr:TEXT                    writes it to standard error
//	anything else                  "ok: TEXT"
//
// Arguments of its own, of the form --fake-x=v, also taken from
// $FAKECLAUDE_ARGS: ledger=FILE, max=N or @FILE, broken=FILE (exit 1 while it exists),
// slow-start=DELAY, latency=DELAY (before each answer), late=D (transcript on
// disk so long after the result, as the real program's 100 ms), mute, phantom,
// deaf=WHAT,... All other arguments are accepted.
//
// With a ledger the fake keeps its own account of what happened; ReadLedger and
// Living read it.
package claudetest
