package ipc

import (
	"errors"
	"os"
	"time"
)

// HungAfter is how long a daemon may take to answer a hello before OnSilence is called. A
// daemon that lives answers it at once, however busy its agents and its disk are. Tests
// change it.
var HungAfter = 5 * time.Second

// longestQuiet is the longest time between two calls of OnSilence.
const longestQuiet = time.Minute

// silence notices that nothing comes from the daemon. It belongs to the goroutine of Call.
type silence struct {
	greeted bool          // the daemon has answered the hello, or none was sent
	told    bool          // OnSilence was called before the daemon was greeted
	quiet   time.Duration // how long nothing is to have come at the next call of OnSilence; grows until something comes
}

// limit is how long the next read or write may take, 0 for ever.
func (c *Client) limit() time.Duration {
	switch {
	case !c.greeted && !c.told && c.OnSilence != nil:
		return HungAfter
	case !c.greeted && c.HelloPatience != 0:
		return c.HelloPatience
	case c.greeted && c.Patience == 0 && c.OnSilence != nil:
		return max(c.quiet, HungAfter)
	}
	return c.Patience
}

// goesOn reports whether a read or write that took too long is repeated.
func (c *Client) goesOn(err error) bool {
	if c.OnSilence == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	switch {
	case !c.greeted && !c.told:
		c.told = true
		c.OnSilence(false)
		return true
	case c.greeted && c.Patience == 0:
		c.OnSilence(true)
		c.quiet = min(2*max(c.quiet, HungAfter), longestQuiet)
		return true
	}
	return false
}
