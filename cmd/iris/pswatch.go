package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"iris/ipc"
)

// What a terminal is told. Its other screen leaves the first as it was.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l"
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineErase   = "\x1b[2K"
	screenRest  = "\x1b[J"
)

// watchEvery is how often the list is asked for.
const watchEvery = time.Second

// runPsWatch shows the list on the terminal's other screen until a signal ends
// it, which is no failure.
func runPsWatch(ctx context.Context, opts psOptions, stdout io.Writer) error {
	if !isTerminal(stdout) {
		return usagef("\"iris events --follow\" tells a script what happens", "--watch needs a terminal")
	}
	g := *opts.globals
	opts.globals = &g
	first, err := opts.page(ctx, widthOf(stdout, columns)) // starts a daemon as any ps does, or fails as it
	if err != nil {
		return err
	}
	g.noStart = true
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	w := watcher{out: stdout.(*os.File), page: first}
	defer w.leave()
	w.enter()
	return w.run(ctx, &opts)
}

// page is one state of the list, as ps prints it on a terminal of that width.
func (o *psOptions) page(ctx context.Context, width int) (string, error) {
	var b bytes.Buffer
	list, err := o.list(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%d of %d agents, %d queued, %s\n\n", list.Total, list.Max, list.Queued, time.Now().Format(time.TimeOnly))
	if !o.tree {
		err = printProcesses(&b, &list)
		return b.String(), err
	}
	var t ipc.ProcessTree
	if err = o.call(ctx, ipc.MethodTree, nil, &t); err == nil {
		err = printTree(&b, width, &t)
	}
	return b.String(), err
}

// A watcher draws a page on a terminal, again and again.
type watcher struct {
	out  *os.File
	page string
}

func (w *watcher) enter() { io.WriteString(w.out, screenEnter) }
func (w *watcher) leave() { io.WriteString(w.out, screenLeave) }

// run draws until ctx ends. A terminal of another size is drawn on at once, and
// one that is given back after Ctrl-Z, too.
func (w *watcher) run(ctx context.Context, opts *psOptions) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT)
	defer signal.Stop(signals)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := w.draw(); err != nil {
			return nil // the terminal is gone
		}
		select {
		case <-ctx.Done():
			return nil
		case s := <-signals:
			if s == syscall.SIGTSTP {
				w.pause(ctx, signals)
			}
		case <-tick.C:
			w.refresh(ctx, opts)
		}
	}
}

// pause gives the terminal back and stops, as Ctrl-Z wants it, until the shell
// says that we go on.
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

// refresh asks for the list. Why there is none takes its place.
func (w *watcher) refresh(ctx context.Context, opts *psOptions) {
	page, err := opts.page(ctx, widthOf(w.out, columns))
	if err != nil {
		page = escape(noDaemon(err).Error()) + ", " + time.Now().Format(time.TimeOnly) + "\n"
	}
	w.page = page
}

// draw puts the page on the screen in one write, cut to its size.
func (w *watcher) draw() error {
	width, height, err := term.GetSize(int(w.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = columns, 24
	}
	_, err = io.WriteString(w.out, screenful(w.page, width, height))
	return err
}

// screenful is a page as it is drawn over another one.
func screenful(page string, width, height int) string {
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	if len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Sprintf("... %s more", plural(more, "line")))
	}
	var b strings.Builder
	b.WriteString(screenHome)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(lineErase + cutTo(line, width))
	}
	return b.String() + screenRest
}
