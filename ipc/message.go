package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"iris/config/sys"
)

// maxID limits an id: each call in flight keeps its own.
const maxID = 1024

// A request is a call or, without an id, a notification of the client.
type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"` // as on the wire; nil for a notification
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"` // an object; nil for none
}

// parseRequest decodes one line for the server. The request that it returns with an
// error has the id to answer under, nil for null.
func parseRequest(line []byte) (request, *Error) {
	var r request
	switch {
	case !utf8.Valid(line):
		return r, Errorf(CodeParse, "not UTF-8")
	case nesting(line) > MaxDepth:
		return r, reasoned(CodeInvalidRequest, "depth", "message nests deeper than %d levels", MaxDepth)
	}
	err := strictly(line, &r)
	if errors.Is(err, errSyntax) {
		return request{}, Errorf(CodeParse, "not JSON: %s", plainly(err))
	}
	problem := r.problem(line, err)
	if !validID(r.ID) {
		r.ID = nil
	}
	if problem != "" {
		return r, Errorf(CodeInvalidRequest, "%s", problem)
	}
	return r, r.checkParams()
}

// problem says why a line of JSON is no request; empty if it is one. err is from
// decoding it.
func (r *request) problem(line []byte, err error) string {
	switch first := bytes.TrimLeft(line, " \t\r\n")[0]; {
	case first == '[':
		return "batches are not supported: send the calls one a line"
	case first != '{':
		return "a message is an object"
	case r.ID != nil && !validID(r.ID):
		return fmt.Sprintf("member \"id\" is a string, a number or null, and at most %d bytes", maxID)
	case err != nil:
		return plainly(err)
	case r.Version != "2.0":
		return "member \"jsonrpc\" is \"2.0\""
	case r.Method == "":
		return "member \"method\" is a string, and not empty"
	}
	return ""
}

// checkParams accepts null as no params: other implementations send it.
func (r *request) checkParams() *Error {
	switch {
	case r.Params == nil || r.Params[0] == '{':
	case bytes.Equal(r.Params, null):
		r.Params = nil
	case r.Params[0] == '[':
		return Errorf(CodeInvalidParams, "params of %s: named ones only, an object", clip(r.Method))
	default:
		return Errorf(CodeInvalidRequest, "member \"params\" is an object")
	}
	return nil
}

var null = []byte("null")

func validID(id []byte) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	c := id[0]
	return c == '"' || c == '-' || '0' <= c && c <= '9' || bytes.Equal(id, null)
}

// nesting returns how many levels deep JSON text nests. For other text the number
// means nothing.
func nesting(text []byte) int {
	depth, most := 0, 0
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			most = max(most, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return most
}

// errSyntax says that a text is not one JSON value.
var errSyntax = errors.New("not JSON")

// strictly decodes one JSON value and refuses fields that v does not have.
func strictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if _, broken := errors.AsType[*json.SyntaxError](err); broken || err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w%w", err, sys.Silent(errSyntax))
	}
	if _, end := d.Token(); end != io.EOF {
		return fmt.Errorf("something follows the end of the object%w", sys.Silent(errSyntax))
	}
	return err
}

// plainly words an error of encoding/json for people who do not know our types.
func plainly(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fmt.Sprintf("field %q takes a %s, not a %s", t.Field, kindName(t.Type), t.Value)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("%s at byte %d", s, s.Offset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "unexpected end of the text"
	}
	return clip(strings.TrimPrefix(err.Error(), "json: "))
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.String:
		return "string"
	}
	return "number"
}

// clip is Clip for a part of a request, in an error.
func clip(s string) string { return Clip(s, 100) }

// Clip returns s, or its first n bytes and "..." if it is longer; it never cuts a
// character in two.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// Moment returns a time as clients see it: nil for none.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// reasoned is Errorf with a reason for programs.
func reasoned(code int, reason, format string, args ...any) *Error {
	e := Errorf(code, format, args...)
	e.Data = &Data{Reason: reason}
	return e
}

// Appender is a value that writes itself as JSON without reflection. The appended
// text has no line feed.
type Appender interface {
	AppendJSON(dst []byte) ([]byte, error)
}

// appendRequest appends one line: a call, or a notification if id is nil.
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

// appendError appends the answer to a call that failed. A nil id answers a line that
// was no call.
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
	}
	w := bytes.NewBuffer(dst)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(w.Bytes(), []byte{'\n'}), err
}
