package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
)

// heeded returns the signals without those that the caller ignores, as nohup does and as
// shells do for background commands: they stay ignored. The first is SIGTERM or SIGQUIT,
// which Go handles again before any code of ours runs, even if the caller ignores it. So the
// list is never empty: os/signal takes an empty one for all signals.
func heeded(first syscall.Signal, others ...os.Signal) []os.Signal {
	return append(slices.DeleteFunc(others, signal.Ignored), first)
}

// ignored returns the signals that the caller ignores.
func ignored(signals ...syscall.Signal) []syscall.Signal {
	return slices.DeleteFunc(signals, func(s syscall.Signal) bool { return !signal.Ignored(s) })
}

// endAtQuit has Ctrl-\ end the command at once and without a word, where Go would print the
// stack of every goroutine. The function that it returns undoes that: the command handles
// the signal itself.
func endAtQuit() (undo func() bool) {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGQUIT)
	return context.AfterFunc(ctx, func() { os.Exit(128 + int(syscall.SIGQUIT)) })
}

// leavingKeys runs a command that has the terminal: Ctrl-C and Ctrl-\ are for it alone,
// although the terminal sends them to both. They are ignored rather than caught, because a
// signal that is caught may be seen only after the command has ended of it. It calls started
// once the command runs.
func leavingKeys(cmd *exec.Cmd, started func()) error {
	keys := heeded(syscall.SIGQUIT, syscall.SIGINT)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, keys...) // the command must not inherit that they are ignored
	err := cmd.Start()
	if err == nil {
		signal.Ignore(keys...)
		started()
		err = cmd.Wait()
		signal.Notify(caught, keys...) // Reset would leave them ignored
	}
	signal.Stop(caught)
	return err
}
