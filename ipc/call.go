package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// A Call is one request that a handler answers. It belongs to the handler's
// goroutine, but for Notify.
type Call struct {
	Method string
	Params json.RawMessage // an object, or nil; inline handlers must not keep it
	Peer   Peer            // who calls

	conn   *conn
	id     []byte // nil for a notification of the client, which has no answer
	held   int    // bytes reserved for Params
	inline bool   // the handler runs on the reader's goroutine
}

// Bind decodes Params into v, a pointer to a struct, and lets go of Params, so
// that a long text is not held twice while its turn runs. Absent params leave v
// as it is. Unlike encoding/json alone it refuses fields that v does not have,
// that occur twice or that are written in another case.
func (c *Call) Bind(v any) error {
	if len(c.Params) == 0 {
		return nil
	}
	f := fieldsOf(reflect.TypeOf(v).Elem())
	if err := f.check(c.Params); err != nil {
		return Errorf(CodeInvalidParams, "params of %s: %v", c.Method, err)
	}
	if err := f.decode(c.Params, v); err != nil {
		return Errorf(CodeInvalidParams, "params of %s: %s", c.Method, plainly(err))
	}
	c.release()
	return nil
}

// release lets go of Params.
func (c *Call) release() {
	c.Params = nil
	c.conn.srv.reserve(-c.held)
	c.held = 0
}

// Notify sends the client a notification and never blocks. A client for which
// too much waits unread is dropped, with ErrSlow. It may be called from any
// goroutine, also after the handler has returned; once the connection is gone
// it returns an error and does nothing.
func (c *Call) Notify(method string, params any) error {
	lead, err := c.conn.notify(method, params, dropFull)
	if err == nil && lead {
		c.conn.aux.Go(c.conn.out.flush)
	}
	return err
}

// NotifyWait is Notify for a stream: while too much waits unread it blocks its
// caller, and nobody else, instead of dropping the client. An inline handler
// cannot wait: there it is Notify.
func (c *Call) NotifyWait(method string, params any) error {
	if c.inline {
		return c.Notify(method, params)
	}
	lead, err := c.conn.notify(method, params, waitFull)
	if err == nil && lead {
		c.conn.out.flush()
	}
	return err
}

// notify queues a notification.
func (c *conn) notify(method string, params any, full onFull) (lead bool, err error) {
	frame, err := appendRequest(nil, nil, method, params)
	if err != nil {
		return false, fmt.Errorf("encode notification %s: %w", method, err)
	}
	lead, err = c.out.add(frame, true, full)
	if errors.Is(err, ErrSlow) {
		c.srv.opts.Refused(c.peer, err)
	}
	return lead, err
}

// fields are what the params of one type may have.
type fields struct {
	names map[string]bool
	flat  bool // no field has fields of its own
}

var fieldCache sync.Map // reflect.Type -> *fields

func fieldsOf(t reflect.Type) *fields {
	if f, ok := fieldCache.Load(t); ok {
		return f.(*fields)
	}
	f := &fields{names: make(map[string]bool), flat: true}
	for _, sf := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch {
		case name == "-" || sf.Anonymous || !sf.IsExported():
			continue
		case name == "":
			name = sf.Name
		}
		f.names[name] = true
		f.flat = f.flat && flat(sf.Type)
	}
	fieldCache.Store(t, f)
	return f
}

func flat(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return true // it decodes itself
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Interface:
		return false
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return flat(t.Elem())
	}
	return true
}

// check refuses names that are not exactly those of the type, once each.
func (f *fields) check(params []byte) error {
	var bad error
	var once map[string]bool
	s := scanner{data: params, max: MaxDepth}
	err := s.object(func(raw, _ []byte) {
		name := unquote(raw)
		switch {
		case bad != nil:
		case !f.names[name]:
			bad = fmt.Errorf("unknown field %q", clip(name))
		case once[name]:
			bad = fmt.Errorf("field %q occurs twice", name)
		}
		if once == nil {
			once = make(map[string]bool, len(f.names))
		}
		once[name] = true
	})
	return errors.Join(err, bad)
}

// decode decodes params whose names were checked. Only nested fields need the
// decoder that is strict about them; it copies all that it reads.
func (f *fields) decode(params []byte, v any) error {
	if f.flat {
		return json.Unmarshal(params, v)
	}
	d := json.NewDecoder(bytes.NewReader(params))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// plainly words an error of encoding/json for people who never saw our types.
func plainly(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fmt.Sprintf("field %q takes a %s, not a %s", t.Field, kindName(t.Type), t.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
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

// helloOf decodes a client's hello. Another version of it may have more fields.
func helloOf(params json.RawMessage) (Hello, error) {
	var h Hello
	if err := json.Unmarshal(params, &h); err != nil {
		return h, Errorf(CodeInvalidParams, "params of %s: %s", MethodHello, plainly(err))
	}
	return h, nil
}

func orUnknown(version string) string {
	if version == "" {
		return "of unknown version"
	}
	return clip(version)
}
