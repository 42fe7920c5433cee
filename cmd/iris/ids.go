package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

// idOptions are the options of a command that takes ids of messages: at most most of
// them, or --last.
type idOptions struct {
	most int
	last bool
}

func (o *idOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.last, "last", false, "the newest message; or that of the TEAM[@SESSION] in place of ID")
}

// idText is about the arguments of a command with idOptions, as a paragraph of its help.
const idText = `An id may be shortened to its first 4 characters or more, as long as no other
message on record begins with them. --last stands for the newest message, or for
that of a session: TEAM alone is the main session of the team.`

// lowerID returns an id of a message or an approval as iris writes it: people may type
// it in capitals, which no id has.
func lowerID(typed string) string { return strings.ToLower(typed) }

// check checks the arguments.
func (o *idOptions) check(cmd *cobra.Command, args []string) error {
	help := "usage: " + cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name())
	switch {
	case len(args) == 0 && !o.last:
		return usagef(help, "%s needs the id of a message, or --last", cmd.Name())
	case len(args) > 1 && o.last:
		return usagef(help, "--last takes one TEAM[@SESSION], and not %q too", args[1])
	case len(args) > o.most:
		return usagef(help, "%s does not take the argument %q", cmd.Name(), args[o.most])
	case !o.last && slices.Contains(args, ""): // of a script with an unset variable; the daemon takes it for --last
		return usagef("--last means the newest message", "the id of the message is empty")
	}
	return nil
}

// complete completes ids of messages in these states, or with --last a team.
func (o *idOptions) complete(g *globals, states ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if o.last {
			return completeTeams(g)(cmd, args, word)
		}
		return completeMessages(g, o.most, states...)(cmd, args, word)
	}
}

// refs are the messages that the arguments name.
func (o *idOptions) refs(args []string) ([]ipc.MessageRef, error) {
	if !o.last {
		refs := make([]ipc.MessageRef, len(args))
		for i, id := range args {
			refs[i].ID = lowerID(id)
		}
		return refs, nil
	}
	if len(args) == 0 {
		return []ipc.MessageRef{{}}, nil
	}
	team, session, err := parseTarget(args[0])
	return []ipc.MessageRef{{Team: team, Session: session}}, err
}

// ids are the whole ids of the messages that the arguments name.
func (o *idOptions) ids(ctx context.Context, g *globals, args []string) ([]string, error) {
	refs, err := o.refs(args)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(refs))
	for i, ref := range refs {
		if ids[i], err = g.messageID(ctx, ref); err != nil {
			return nil, orDirectory(ref.Team, err)
		}
	}
	return ids, nil
}

// messageID returns the whole id of a message. An id that no message on record begins
// with is returned as it is: the call that it is for says what is missing.
func (g *globals) messageID(ctx context.Context, ref ipc.MessageRef) (string, error) {
	if _, whole := ipc.ParseID(ref.ID); whole {
		return ref.ID, nil
	}
	id, err := g.verbs().Find(ctx, ref)
	if ref.ID != "" && ipc.ReasonOf(err) == "no-such-message" {
		return ref.ID, nil
	}
	return id, err
}
