package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// each calls f with one argument after another. After an error it goes on with the next,
// unless the daemon cannot be reached. Each error is reported with its argument, and the
// status is that of the first. The error about an argument that stands alone is returned.
func each(stderr io.Writer, args []string, f func(arg string) error) error {
	if len(args) == 1 {
		return f(args[0])
	}
	failed := exitOK
	for _, arg := range args {
		err := f(arg)
		if err == nil {
			continue
		}
		if !names(err, arg) {
			err = fmt.Errorf("%s: %w", arg, err)
		}
		code := report(stderr, err)
		if failed == exitOK {
			failed = code
		}
		if code == ipc.CodeDaemon || code == exitInterrupted || code == exitPipe {
			break
		}
	}
	if failed != exitOK {
		return silentError(failed)
	}
	return nil
}

// names reports whether the text of an error has an argument as a word.
func names(err error, arg string) bool {
	words := strings.FieldsFunc(err.Error(), func(r rune) bool { return strings.ContainsRune(" \":,;", r) })
	return slices.Contains(words, arg)
}

// printEach prints a word for each element of a list, one a line.
func printEach[T any](w io.Writer, list []T, word func(*T) string) error {
	for i := range list {
		if _, err := fmt.Fprintln(w, terminal.Escape(word(&list[i]))); err != nil {
			return err
		}
	}
	return nil
}
