package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The members of a message, and their order in an envelope.
const (
	memberVersion = iota
	memberID
	memberMethod
	memberParams
	memberResult
	memberError
	members
)

var memberNames = [members]string{"jsonrpc", "id", "method", "params", "result", "error"}

// An envelope holds the members of one message as they stand on the wire; nil
// for an absent one. They alias the line.
type envelope struct {
	member  [members][]byte
	problem string // the first offence against the envelope, "" if none
	twoIDs  bool
}

func (e *envelope) has(m int) bool { return e.member[m] != nil }

// parseEnvelope takes one line apart. Its error means that the line is not JSON
// or nests deeper than depth; everything else that is wrong is in problem.
func parseEnvelope(line []byte, depth int) (envelope, error) {
	var e envelope
	s := scanner{data: line, max: depth}
	s.space()
	if first := s.peek(); first != '{' {
		err := s.value()
		e.problem = "a message is an object"
		if first == '[' {
			e.problem = "batches are not supported: send the calls one a line"
		}
		return e, s.finish(err)
	}
	return e, s.finish(s.object(e.add))
}

// finish adds to err the complaint that something follows the text.
func (s *scanner) finish(err error) error {
	if err != nil {
		return err
	}
	if s.space(); s.pos < len(s.data) {
		return s.unexpected()
	}
	return nil
}

// object passes over an object and calls f with each member's raw name and value.
func (s *scanner) object(f func(name, value []byte)) error {
	if s.peek() != '{' {
		return s.unexpected()
	}
	if err := s.push(true); err != nil {
		return err
	}
	if s.space(); s.peek() == '}' {
		s.pos++
		s.depth--
		return nil
	}
	base := s.depth - 1
	for {
		name, err := s.key()
		if err != nil {
			return err
		}
		s.space()
		from := s.pos
		if err := s.value(); err != nil {
			return err
		}
		f(name, s.data[from:s.pos])
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			s.depth = base
			return nil
		default:
			return s.unexpected()
		}
	}
}

// array passes over an array and calls f with each value.
func (s *scanner) array(f func(value []byte)) error {
	if s.peek() != '[' {
		return s.unexpected()
	}
	if err := s.push(false); err != nil {
		return err
	}
	base := s.depth - 1
	if s.space(); s.peek() == ']' {
		s.pos++
		s.depth = base
		return nil
	}
	for {
		s.space()
		from := s.pos
		if err := s.value(); err != nil {
			return err
		}
		f(s.data[from:s.pos])
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			s.depth = base
			return nil
		default:
			return s.unexpected()
		}
	}
}

// add notes one member. encoding/json would match names whatever their case and
// let the last of two win: two readers could then see two different messages.
func (e *envelope) add(name, value []byte) {
	m := memberOf(name)
	switch {
	case m == members:
		e.stranger(unquote(name))
	case e.has(m):
		e.offend("member %q occurs twice", memberNames[m])
		e.twoIDs = e.twoIDs || m == memberID
	default:
		e.member[m] = value
	}
}

// memberOf returns which member a raw name is, or members for none.
func memberOf(name []byte) int {
	in := name[1 : len(name)-1]
	if bytes.IndexByte(in, '\\') >= 0 {
		in = []byte(unquote(name))
	}
	for m, known := range memberNames {
		if string(in) == known {
			return m
		}
	}
	return members
}

// stranger complains about a member that no message has.
func (e *envelope) stranger(key string) {
	for _, known := range memberNames {
		if strings.EqualFold(key, known) {
			e.offend("unknown member %q: write it %q", key, known)
			return
		}
	}
	e.offend("unknown member %q", clip(key))
}

func (e *envelope) offend(format string, args ...any) {
	if e.problem == "" {
		e.problem = fmt.Sprintf(format, args...)
	}
}

// clip shortens a name that a stranger chose, for use in an error.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// A request is a call or, without an id, a notification of the client.
type request struct {
	id     []byte // as on the wire; nil for a notification
	method string
	params []byte // an object; nil for none
}

// parseRequest decodes one line for the server. What it returns beside an error
// has the id to answer under, nil for null.
func parseRequest(line []byte) (request, *Error) {
	if !utf8.Valid(line) {
		return request{}, Errorf(CodeParse, "not UTF-8")
	}
	e, err := parseEnvelope(line, MaxDepth)
	switch {
	case errors.Is(err, errDepth):
		return request{}, reasoned(CodeInvalidRequest, "depth", "message nests deeper than %d levels", MaxDepth)
	case err != nil:
		return request{}, Errorf(CodeParse, "not JSON: %v", err)
	}
	r := request{params: e.member[memberParams]}
	id := e.member[memberID]
	if id != nil && !validID(id) {
		e.offend("member \"id\" is a string, a number or null, and at most %d bytes", maxID)
	} else if !e.twoIDs {
		r.id = id
	}
	if unquote(e.member[memberVersion]) != "2.0" {
		e.offend("member \"jsonrpc\" is \"2.0\"")
	}
	if r.method = unquote(e.member[memberMethod]); r.method == "" {
		e.offend("member \"method\" is a string, and not empty")
	}
	if e.has(memberResult) || e.has(memberError) {
		e.offend("a request has no result and no error")
	}
	if e.problem != "" {
		return r, Errorf(CodeInvalidRequest, "%s", e.problem)
	}
	return r, r.checkParams()
}

// checkParams has null stand for none, as other implementations send it.
func (r *request) checkParams() *Error {
	switch {
	case r.params == nil || r.params[0] == '{':
	case bytes.Equal(r.params, null):
		r.params = nil
	case r.params[0] == '[':
		return Errorf(CodeInvalidParams, "params of %s: named ones only, an object", clip(r.method))
	default:
		return Errorf(CodeInvalidRequest, "member \"params\" is an object")
	}
	return nil
}

// maxID bounds an id: each call in flight keeps its own.
const maxID = 1024

var null = []byte("null")

func validID(id []byte) bool {
	c := id[0]
	return len(id) <= maxID && (c == '"' || c == '-' || '0' <= c && c <= '9' || bytes.Equal(id, null))
}

func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

// unquote decodes a string that the scanner has passed; "" for anything else.
func unquote(raw []byte) string {
	if !isString(raw) {
		return ""
	}
	if in := raw[1 : len(raw)-1]; plainASCII(in) == len(in) {
		return string(in)
	}
	var b strings.Builder
	if UnquoteTo(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// reasoned is Errorf with a reason for programs.
func reasoned(code int, reason, format string, args ...any) *Error {
	e := Errorf(code, format, args...)
	e.Data = &Data{Reason: reason}
	return e
}

// Appender is a value that writes itself as JSON without a detour through
// reflection; what it appends has no line feed.
type Appender interface {
	AppendJSON(dst []byte) ([]byte, error)
}

// Parser is a value that reads itself from JSON. It may keep data.
type Parser interface {
	ParseJSON(data []byte) error
}

// appendRequest appends one line: a call, or without an id a notification.
func appendRequest(dst, id []byte, method string, params any) ([]byte, error) {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	if id != nil {
		dst = append(append(dst, `,"id":`...), id...)
	}
	dst = QuoteString(append(dst, `,"method":`...), method)
	if params != nil {
		var err error
		if dst, err = appendValue(append(dst, `,"params":`...), params); err != nil {
			return dst, err
		}
	}
	return append(dst, '}', '\n'), nil
}

// appendResult appends the answer to a call.
func appendResult(dst, id []byte, result any) ([]byte, error) {
	dst = append(append(dst, `{"jsonrpc":"2.0","id":`...), id...)
	dst, err := appendValue(append(dst, `,"result":`...), result)
	return append(dst, '}', '\n'), err
}

// appendError appends the answer to a call that failed, or with a nil id to a
// line that was none.
func appendError(dst, id []byte, e *Error) []byte {
	if id == nil {
		id = null
	}
	dst = append(append(dst, `{"jsonrpc":"2.0","id":`...), id...)
	dst, err := appendValue(append(dst, `,"error":`...), e)
	if err != nil {
		panic("bug: an error does not encode: " + err.Error())
	}
	return append(dst, '}', '\n')
}

// appendValue appends v on one line; nil is {}.
func appendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, '{', '}'), nil
	case Appender:
		return v.AppendJSON(dst)
	case json.RawMessage:
		return appendRaw(dst, v)
	}
	w := sliceWriter(dst)
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(w, []byte{'\n'}), err
}

// appendRaw appends JSON as it is, unless a line feed in it would end the line.
func appendRaw(dst []byte, raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 {
		return append(dst, '{', '}'), nil
	}
	if bytes.IndexByte(raw, '\n') < 0 {
		dst = slices.Grow(dst, len(raw)+16) // with room for what closes the line
		return append(dst, raw...), nil
	}
	w := bytes.NewBuffer(dst)
	err := json.Compact(w, raw)
	return w.Bytes(), err
}

// sliceWriter appends what is written.
type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
