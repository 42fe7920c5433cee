package terminal

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Sequences for a terminal. Its other screen keeps the first one unchanged.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l"
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineErase   = "\x1b[2K"
	screenRest  = "\x1b[J"
)

// Watch shows a page on the other screen of the terminal out, and replaces it by the
// result of next at each interval, until ctx ends or the terminal is gone.
func Watch(ctx context.Context, out *os.File, every time.Duration, first string, next func() string) {
	w := watcher{out: out, page: first}
	defer w.leave()
	w.enter()
	w.run(ctx, every, next)
}

// A watcher draws a page on a terminal, again and again.
type watcher struct {
	out  *os.File
	page string
}

func (w *watcher) enter() { io.WriteString(w.out, screenEnter) }
func (w *watcher) leave() { io.WriteString(w.out, screenLeave) }

// run draws until ctx ends. It draws at once when the size of the terminal changes or
// the command continues after Ctrl-Z.
func (w *watcher) run(ctx context.Context, every time.Duration, next func() string) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT)
	defer signal.Stop(signals)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := w.draw(); err != nil {
			return // the terminal is gone
		}
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s == syscall.SIGTSTP {
				w.pause(ctx, signals)
			}
		case <-tick.C:
			w.page = next()
		}
	}
}

// pause restores the terminal and stops this process for Ctrl-Z, until the shell
// continues it.
func (w *watcher) pause(ctx context.Context, signals <-chan os.Signal) {
	w.leave()
	defer w.enter()
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s == syscall.SIGCONT {
				return
			}
		}
	}
}

// draw puts the page on the screen in one write, cut to its size.
func (w *watcher) draw() error {
	width, height, err := term.GetSize(int(w.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = Columns, 24
	}
	_, err = io.WriteString(w.out, screenful(w.page, width, height))
	return err
}

// screenful is a page in the form that overwrites another page.
func screenful(page string, width, height int) string {
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	if len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Sprintf("... %d lines more", more))
	}
	var b strings.Builder
	b.WriteString(screenHome)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(lineErase + cut(line, width))
	}
	return b.String() + screenRest
}
