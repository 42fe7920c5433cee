package terminal

import (
	"fmt"
	"io"
)

// Done says on a terminal in one line what a command did that prints no data. In a
// pipe or a file it writes nothing: the exit status has told a script already.
func Done(stderr io.Writer, format string, args ...any) {
	if Is(stderr) {
		fmt.Fprintf(stderr, "iris: %s\n", Escape(fmt.Sprintf(format, args...)))
	}
}
