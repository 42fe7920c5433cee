package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// asUsual has a terminal show its usual screen and the cursor, and report neither pastes,
// focus, the mouse nor keys in another form than usual.
const asUsual = "\x1b[?1047l\x1b[?25h\x1b[?2004l\x1b[?1004l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1006l\x1b[<u\x1b[>4;0m\x1b[0m\r\n"

// Save keeps the mode of a terminal. The function that it returns brings it back after a
// program that was killed and could not.
func Save(f any) (restore func()) {
	tty, ok := f.(*os.File)
	if !ok {
		return func() {}
	}
	mode, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return func() {}
	}
	return func() {
		term.Restore(int(tty.Fd()), mode)
		io.WriteString(tty, asUsual)
	}
}
