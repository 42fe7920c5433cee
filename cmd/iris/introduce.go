package main

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

// introduce says what a person should know of a directory that no message was sent to
// before: that a parent is a team, and what its files have Claude Code do.
func (g *globals) introduce(ctx context.Context, stderr io.Writer, dir string) {
	if !terminal.Is(stderr) || !filepath.IsAbs(dir) {
		return
	}
	cfg, err := g.loaded()
	if err != nil {
		return // the daemon says it
	}
	t, err := cfg.ForDir(dir)
	if err != nil || t.Name != t.Dir {
		return
	}
	above, found := cfg.TeamsAbove(t.Dir), config.StrangeSettings(t.Dir)
	if len(above)+len(found) == 0 || g.hasConversation(ctx, t.Name) {
		return
	}
	if len(above) > 0 {
		say(stderr, "note: a parent of this directory is %s; the message goes to an agent of this directory alone", teamsText(above))
	}
	if len(found) > 0 {
		say(stderr, "note: files of this directory have Claude Code use %s", strings.Join(found, ", "))
	}
}

// hasConversation reports whether a team has a conversation on record. If nobody can
// say so in time, it has none: what is said twice does no harm.
func (g *globals) hasConversation(ctx context.Context, team string) bool {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	list, _ := g.verbs().Sessions(ctx)
	return slices.ContainsFunc(list, func(c ipc.Conversation) bool { return c.Team == team })
}
