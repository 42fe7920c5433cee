// Package agents knows what an agent of a team starts with and what came of the agents of
// earlier daemons.
//
//	Environment   the base from the login shell or the daemon itself, and what a team adds
//	Examine       whether the programs of the teams are there and logged in
//
// An Environment asks the login shell in a goroutine that its owner's WaitGroup waits for.
package agents
