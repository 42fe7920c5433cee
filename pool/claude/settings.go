package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"iris/config/sys"
)

const (
	saveWait = 3 * time.Second        // for a file that is being saved
	saveLook = 100 * time.Millisecond // between two looks at it
)

// An UnparsedError names a settings or .mcp.json file that is no JSON object, or has a value
// of a wrong kind. Claude Code would start without anything that the file says, such as its
// deny rules.
type UnparsedError struct {
	Path string
	Line int // from 1; 0 if the file was not read, or parses
	Col  int // in bytes, from 1
	Why  string
}

func (e *UnparsedError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Why)
	}
	return fmt.Sprintf("%s:%d:%d does not parse: %s", e.Path, e.Line, e.Col, e.Why)
}

// Unparsed returns an *UnparsedError for the first file that must parse and does not.
func Unparsed(sources []Source) error {
	for _, s := range sources {
		if s.Kind.mustParse() {
			if err := unparsed(s.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// unparsed checks one file by the rules of Claude Code: a missing or blank file says
// nothing, a byte order mark is skipped, comments and trailing commas are errors.
func unparsed(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	text, err := readSettings(path, info)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &UnparsedError{Path: path, Why: sys.Cause(err).Error()}
	case len(bytes.TrimSpace(text)) == 0:
		return nil
	}
	var object map[string]json.RawMessage
	err = json.Unmarshal(text, &object)
	if err == nil && object != nil {
		return nil
	}
	why, at := "it is not a JSON object", 0
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		why, at = syntax.Error(), max(0, int(syntax.Offset)-1)
	}
	before := text[:min(at, len(text))]
	return &UnparsedError{path, 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n'), why}
}

func readSettings(path string, info fs.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	text, err := os.ReadFile(path)
	return bytes.TrimPrefix(text, []byte("\ufeff")), err
}

// awaitParsed waits until all files parse that must.
func awaitParsed(ctx context.Context, sources []Source) error {
	var paths []string
	for _, s := range sources {
		if s.Kind.mustParse() {
			paths = append(paths, s.Path)
		}
	}
	return AwaitSaved(ctx, paths, func() error { return Unparsed(sources) })
}

// AwaitSaved calls read until it succeeds and none of its files was emptied a moment ago:
// a file that is just being saved is away, cut off, or empty, for a moment. It returns the
// last error of read, or that of an ended ctx.
func AwaitSaved(ctx context.Context, paths []string, read func() error) error {
	var err error
	if _, ended := retry(ctx, saveLook, saveWait, func() bool {
		err = read()
		return err == nil && !slices.ContainsFunc(paths, justEmptied)
	}); ended != nil {
		return ended
	}
	return err
}

// retry calls try until it reports that it is done, and reports whether it did so within
// limit; pause is the time between two calls. The error is that of an ended ctx.
func retry(ctx context.Context, pause, limit time.Duration, try func() (done bool)) (bool, error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	next := time.NewTicker(pause)
	defer next.Stop()
	for !try() {
		select {
		case <-next.C:
		case <-over.C:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	return true, nil
}

// settingsRead returns an *UnparsedError for a settings file that the agent has refused. Of
// a file that parses, it refuses all if one value breaks its schema: a list of deny rules
// that is a string, or an unknown permission mode. An unknown name, or one bad rule in a list,
// is no error to it.
func (p *Process) settingsRead(ctx context.Context) error {
	if len(p.startedWith().Files) == 0 {
		return nil
	}
	r, err := p.call(ctx, "get_settings")
	switch {
	case r.Subtype == "error": // it does not know the request
		return nil
	case err != nil:
		return p.withExit(err)
	}
	var s settings
	decode(r.Body, &s)
	if len(s.Errors) == 0 {
		return nil
	}
	e := s.Errors[0]
	return &UnparsedError{Path: e.File, Why: fmt.Sprintf("%s: %s", e.Path, truncated([]byte(oneLine(e.Message))))}
}

// justEmptied reports whether a file is empty, and was not a moment ago.
func justEmptied(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Size() > 0 {
		return false
	}
	age := time.Since(info.ModTime())
	return age >= 0 && age < saveWait
}
