// Package claude drives one Claude Code process: it starts it, sends it one
// message at a time, says how each turn ended, and ends it with all that it
// started. It is not a pool and decides nothing about which agent lives; it
// knows the program's protocol so that nobody else has to.
package claude
