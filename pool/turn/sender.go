package turn

// Sender is the agent that sent a message, and how; the zero Sender is a person, or a
// program that belongs to no agent.
type Sender struct {
	From    string `json:"from,omitempty"`    // the conversation of the agent: TEAM or TEAM@SESSION
	Message string `json:"message,omitempty"` // the message during whose turn it sent this one; empty between turns
	Depth   int    `json:"depth,omitempty"`   // how many agents in a row have sent messages: 1 if a person sent that message
}
