package ipc

import "time"

// Version is that of the protocol. Client and daemon must have the same version; a
// change that either side cannot ignore raises it.
const Version = 1

// The methods of the daemon. The types of params and result are named beside each; an
// absent result is {}.
const (
	MethodHello     = "hello"            // Hello -> Hello
	MethodStatus    = "status"           // {} -> Status
	MethodSend      = "message.send"     // Send -> Reply; notifies NotifyState, and of a stream NotifyOutput and NotifyGap
	MethodSubmit    = "message.submit"   // Send -> MessageState, once the message is on disk
	MethodWait      = "message.wait"     // Wait -> MessageState of the first that has ended; notifies NotifyState
	MethodStream    = "message.stream"   // Stream -> StreamEnd; notifies NotifyState, NotifyOutput and NotifyGap
	MethodResult    = "message.result"   // MessageRef -> Reply, or the error that message.send would have answered
	MethodMessages  = "message.list"     // MessageQuery -> MessageList
	MethodFind      = "message.find"     // MessageRef -> MessageID
	MethodShow      = "message.show"     // MessageRef -> Message, with its history
	MethodUsage     = "usage.sum"        // UsageQuery -> UsageSums
	MethodCancel    = "message.cancel"   // MessageID -> MessageState: cancelled or interrupting
	MethodWhy       = "why"              // WhyQuery -> Why
	MethodRetry     = "message.retry"    // Retry -> MessageState of the new message, or of the unknown message under its old id, once that is on disk
	MethodResolve   = "message.resolve"  // Resolve -> MessageState
	MethodApprovals = "approval.list"    // ApprovalFilter -> ApprovalList
	MethodDecide    = "approval.decide"  // Decide -> Approval
	MethodCaller    = "caller"           // {} -> Caller
	MethodList      = "process.list"     // ProcessQuery -> ProcessList
	MethodTree      = "process.tree"     // {} -> ProcessTree
	MethodKill      = "process.kill"     // Target -> Stopped
	MethodEvict     = "process.evict"    // Target -> Stopped
	MethodWake      = "process.wake"     // Target -> Process
	MethodRestart   = "process.restart"  // Target -> Stopped
	MethodEvents    = "events.list"      // EventQuery -> EventList
	MethodSubscribe = "events.subscribe" // EventQuery -> Gap, when the stream ends; notifies NotifyEvent, those kept first
	MethodSessions  = "session.list"     // {} -> ConversationList
	MethodReset     = "session.reset"    // Target -> Conversation, the one forgotten
	MethodRewind    = "session.rewind"   // Rewind -> Rewound
	MethodMove      = "session.move"     // Move -> ConversationList, those of the team that gets them
	MethodAttach    = "session.attach"   // Attach -> Terminal, once the agent is gone; notifies NotifyState with what it waits for
	MethodAttached  = "session.attached" // Attached -> {}
	MethodAdopt     = "session.adopt"    // Adopt -> Adopted
	MethodLocate    = "session.locate"   // MessageRef -> Transcript, of a message, or with an empty id of a conversation
	MethodEnv       = "config.env"       // EnvQuery -> Env
	MethodAccounts  = "accounts"         // {} -> AccountList
	MethodBudgets   = "budgets"          // BudgetQuery -> BudgetList
	MethodOpen      = "account.open"     // AccountName -> Account, as it was
	MethodExamine   = "team.examine"     // {} -> Examination, of all teams
	MethodReload    = "daemon.reload"    // {} -> Reloaded
	MethodStop      = "daemon.stop"      // StopParams -> {} once the daemon is about to exit
	MethodReplace   = "daemon.restart"   // Restart -> an error if nothing has changed, else no answer: see Restart
)

// The notifications that the daemon sends.
const (
	NotifyState  = "message.state"  // MessageState
	NotifyOutput = "message.output" // Output
	NotifyGap    = "message.gap"    // OutputGap
	NotifyEvent  = "event"          // Event
	NotifyBegin  = "events.begin"   // Begin, before the first event of a subscription

	// Sent to clients that wait for a message with Approvals set.
	NotifyAsked   = "approval.asked"   // Approval
	NotifyDecided = "approval.decided" // Approval, without its input
)

// Hello opens a connection: each side says what it is. It is optional for people. A
// client that sends hello with another protocol is refused everything.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	PID      int    `json:"pid,omitempty"`
	Config   string `json:"config,omitempty"` // the configuration file, when the client insists on one
}

// Target names agents: those of one session; with AllSessions and an empty session,
// those of every session of the team; with All, every agent; with Oldest, the least
// recently used idle agent.
type Target struct {
	Team        string `json:"team,omitempty"`
	Session     string `json:"session,omitempty"`
	AllSessions bool   `json:"all_sessions,omitempty"`
	All         bool   `json:"all,omitempty"`
	Oldest      bool   `json:"oldest,omitempty"`
	Tree        bool   `json:"tree,omitempty"` // of process.kill: also end the daemons that the agents have started
}

// Name joins a team and a session in the form that commands accept: TEAM or TEAM@SESSION.
func Name(team, session string) string {
	if session == "" {
		return team
	}
	return team + "@" + session
}

// Stopped lists the agents that a call stopped, and those that stop when their
// running turn is over.
type Stopped struct {
	Stopped []Process     `json:"stopped"`
	Later   []Process     `json:"later"`
	Daemons []TreeProcess `json:"daemons,omitempty"` // daemons that the agents had started, ended with them
}

// Process is one live agent.
type Process struct {
	ID        string     `json:"id"`
	PID       int        `json:"pid"`
	Team      string     `json:"team"`
	Session   string     `json:"session"`
	SessionID string     `json:"session_id"`
	State     string     `json:"state"` // starting, idle, busy, stopping
	Message   string     `json:"message,omitempty"`
	Messages  int        `json:"messages_processed"`
	Works     string     `json:"works_on,omitempty"` // work that the agent began by itself, or left running
	Own       int        `json:"own_turns"`          // ended turns that nobody has sent
	Queue     int        `json:"queue_length"`
	Started   time.Time  `json:"started"`
	LastUsed  *time.Time `json:"last_used"` // null before the first turn
	TurnSince *time.Time `json:"turn_since,omitempty"`
	Until     *time.Time `json:"until"`             // when its idle timeout ends it; null for never
	Idle      *int64     `json:"idle_remaining_ms"` // the same as a duration
	Frozen    bool       `json:"frozen,omitempty"`  // its process is stopped until it is needed
	Uptime    int64      `json:"uptime_ms"`
	Memory    int64      `json:"memory_bytes"` // PSS of the process tree at the last health check, 0 before
	Why       string     `json:"why"`          // why it stays or goes
	Dir       string     `json:"dir"`
	Approvals []string   `json:"approvals,omitempty"`       // ids of the approvals that its turn waits for
	Bypass    string     `json:"bypass,omitempty"`          // the setting that turns off its permission checks
	Mode      string     `json:"permission_mode,omitempty"` // if it is not that of the team
}

// Conversation is the record of a session: its agent's own id and its directory. It
// outlives the agent's processes.
type Conversation struct {
	Team      string    `json:"team"`
	Session   string    `json:"session"`
	SessionID string    `json:"session_id"`
	Dir       string    `json:"dir"`
	Created   time.Time `json:"created"`
	Attached  int       `json:"attached_pid,omitempty"` // the client of a person who has it in a terminal
}

// Attach asks for the program with which a person sits down in a conversation: when the
// running turn has ended, or Now by interrupting it. From then on the messages of the
// conversation wait, as long as the caller lives and has not said that the program has ended,
// and as long as the program lives. With Fork the program works on a copy, and nothing waits.
type Attach struct {
	Team    string `json:"team"`
	Session string `json:"session,omitempty"`
	Now     bool   `json:"now,omitempty"`
	Fork    bool   `json:"fork,omitempty"`
}

// Terminal is a program for the caller's terminal. Env lacks what belongs to the terminal,
// such as TERM, and has the secrets of the team. ID is empty for a copy.
type Terminal struct {
	ID        string   `json:"id,omitempty"` // for Attached
	Team      string   `json:"team"`
	Session   string   `json:"session"`
	SessionID string   `json:"session_id"`
	Path      string   `json:"path"`
	Args      []string `json:"args"` // the name of the program first
	Env       []string `json:"env"`  // NAME=value
	Dir       string   `json:"dir"`
}

// Attached says that the program of a Terminal runs with that process id, or with 0 that it
// has ended.
type Attached struct {
	ID  string `json:"id"`
	PID int    `json:"pid,omitempty"`
}

// Adopt makes a session of Claude Code the conversation of a team.
type Adopt struct {
	Team      string `json:"team"`
	Session   string `json:"session,omitempty"`
	SessionID string `json:"session_id"`
}

// Adopted is a conversation that was adopted. From is the directory of its last turn; empty
// if its transcript does not tell.
type Adopted struct {
	Conversation
	From string `json:"from,omitempty"`
}

// Rewind takes back the last turns of a conversation: that many; or, with 0, the last
// turn and the turns right before it that the API refused.
type Rewind struct {
	Team    string `json:"team"`
	Session string `json:"session,omitempty"`
	Turns   int    `json:"turns,omitempty"`
}

// Rewound says what was taken back. Only the conversation changes.
type Rewound struct {
	Team      string `json:"team"`
	Session   string `json:"session"`
	SessionID string `json:"session_id"`
	Turns     int    `json:"turns"`
	Last      string `json:"last"` // the message whose answer now ends the conversation
}

// ConversationList lists all conversations, by team and session.
type ConversationList struct {
	Conversations []Conversation `json:"conversations"`
}

// ProcessList is the state of the pool.
type ProcessList struct {
	Processes []Process   `json:"processes"`
	Total     int         `json:"total_processes"`
	Max       int         `json:"max_processes"`
	Queued    int         `json:"queued"`
	Gone      []GoneAgent `json:"gone,omitempty"`    // the last that went comes first
	Damaged   []string    `json:"damaged,omitempty"` // records of agents that are gone
}

// Status is the state of the daemon and its pool.
type Status struct {
	PID         int       `json:"pid"`
	Version     string    `json:"version"`
	Protocol    int       `json:"protocol"`
	Socket      string    `json:"socket"`
	Since       time.Time `json:"since"`
	Uptime      int64     `json:"uptime_ms"`
	Config      string    `json:"config"`
	ConfigError string    `json:"config_error,omitempty"` // why the last reload was refused
	Log         string    `json:"log"`
	Total       int       `json:"total_processes"`
	Max         int       `json:"max_processes"`
	Memory      int64     `json:"memory_bytes"`      // of all agents, as last measured
	MaxMemory   int64     `json:"max_memory_bytes"`  // their limit; 0 for none
	FreeMemory  *int64    `json:"free_memory_bytes"` // what the machine had left for agents, without its reserve, when one was last started or checked; null if unknown
	Busy        int       `json:"busy"`
	Queued      int       `json:"queued"`
	Messages    int64     `json:"messages_processed"`
	CostUSD     float64   `json:"cost_usd"`
	OwnTurns    int64     `json:"own_turns"` // turns that nobody has sent; not counted in Messages and CostUSD
	OwnCostUSD  float64   `json:"own_cost_usd"`
	Clients     int       `json:"clients"`
	Generation  int       `json:"generation"` // 1 at its start; each restart in place adds 1
	Journal     Journal   `json:"journal"`
	Stopping    bool      `json:"stopping,omitempty"`
	Broken      []Broken  `json:"broken"`
	Limited     []Account `json:"limited,omitempty"`
	Lacking     []Lacking `json:"spare,omitempty"` // accounts whose spare messages wait
	Warnings    []string  `json:"warnings,omitempty"`
}

// Journal describes the journal and counts its messages.
type Journal struct {
	Path     string `json:"path"`
	Bytes    int64  `json:"bytes"` // of the file and its side files
	Messages int64  `json:"messages"`
	Queued   int64  `json:"queued"`
	Running  int64  `json:"running"`
	Unknown  int64  `json:"unknown"`
	Error    string `json:"error,omitempty"` // why no message is accepted now
}

// Broken is a session whose agents do not start.
type Broken struct {
	Team     string `json:"team"`
	Session  string `json:"session"`
	Failures int    `json:"failures"`
	Error    string `json:"error"`
	Retry    int64  `json:"retry_ms"` // until the next try is allowed
}

// Event is one thing that happened in the pool. It never holds the text of a message
// or answer.
type Event struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Team    string    `json:"team,omitempty"`
	Session string    `json:"session,omitempty"`
	Process string    `json:"process,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Message string    `json:"message,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Total   int       `json:"total,omitempty"`
	Max     int       `json:"max,omitempty"`

	// Of a message that an agent has sent, as in Message.
	From        string `json:"from,omitempty"`
	FromMessage string `json:"from_message,omitempty"`
	Depth       int    `json:"depth,omitempty"`

	// Of an account that is limited, or is not any more.
	Account string     `json:"account,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
}

// EnvQuery asks for the environment of a team's agents.
type EnvQuery struct {
	Team   string `json:"team"`
	Reveal bool   `json:"reveal,omitempty"` // do not mask secrets; refused to agents
}

// Env is the environment of a team's agents.
type Env struct {
	Team string   `json:"team"`
	Vars []EnvVar `json:"vars"`
}

// EnvVar is one variable and its source.
type EnvVar struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Move asks that all conversations of one team become those of another one. It is
// refused while a message of the first waits or runs, and if both have a conversation
// of the same session (the reason "conversation-exists"): then nothing has changed.
type Move struct {
	From  string `json:"from"`            // a name, or a directory without links; it need not be a team now
	To    string `json:"to"`              // a name; it need not be a team yet
	Check bool   `json:"check,omitempty"` // only find out whether it would be refused
}

// Reloaded says what a reload changed.
type Reloaded struct {
	Changed bool     `json:"changed"`
	Changes []string `json:"changes"` // the changed settings and teams, in words; of variables without their values
}

// Restart has the daemon replace its own program by another one, in place: the same
// process, with its agents and their turns. If the new program is fit, the call is
// cut off like every other call when a daemon ends: ErrLost, or CodeCancelled without
// Data. The next connection reaches the new program, with a higher Status.Generation;
// the same generation means that the replacement failed after all, and the log says
// why. If the program is not fit, the error says why, and the old program continues
// unchanged. The reason "unsupported" means that this daemon or system cannot be
// replaced in place.
type Restart struct {
	Program string `json:"program"` // an absolute path
}

// StopParams says how the daemon ends: after the running turns, or at once.
type StopParams struct {
	Force      bool `json:"force,omitempty"`
	LeaveTurns bool `json:"leave_turns,omitempty"` // at the drain deadline, or at once with Force, running turns go on without a daemon; the next daemon records how they ended
	Restart    bool `json:"restart,omitempty"`     // another daemon follows at once: waiting clients are cut off, and reconnect to it
}
